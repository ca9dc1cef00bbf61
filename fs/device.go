package fs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

const (
	// maxRead is the longest READ: longer files take several. A request in work
	// holds two buffers of about this size.
	maxRead = 16 << 10
	// requestSize is what read(2) on /dev/fuse must offer room for: headers
	// and a WRITE as long as maxRead, although none is sent here.
	requestSize = maxRead + 4<<10
	// idleReaders wait for requests at rest. With one, every request would
	// have to start the next reader.
	idleReaders = 2
)

// device is the loop on /dev/fuse: it reads requests, has the superblock answer
// them and writes the replies. Nothing else knows how that is done.
//
// The goroutine that reads a request also answers it. When the last idle one
// took a request another is started, so a request that takes long delays none
// of those behind it. There are no more of them than tasks that wait for a
// reply, but for a few that the kernel sends in the background.
type device struct {
	file    *os.File
	fd      int
	proto   *fuse.ProtocolServer
	poll    func(fh, poller uint64) uint32 // nil: ENOSYS, and the kernel asks no more
	buffers sync.Pool                      // of *buffers
	idle    atomic.Int32
	readers sync.WaitGroup
	// forgotten are names for the kernel to forget.
	forgotten chan string
	done      chan struct{} // closed when the last reader has ended
}

// newDevice takes ownership of file.
func newDevice(file *os.File, raw fuse.RawFileSystem, panicked panicFunc) *device {
	opts := &fuse.MountOptions{
		Name:                     fsName,
		Logger:                   log.New(io.Discard, "", 0),
		MaxWrite:                 maxRead,
		MaxBackground:            64,
		DisableXAttrs:            true,
		DisableReadDirPlus:       true,
		ExplicitDataCacheControl: true,
		// Offered passthrough counts as a level of file system stacking.
		DisabledCapabilities: fuse.CAP_PASSTHROUGH,
		PanicHandler: func(v any) fuse.Status {
			panicked("request", v, debug.Stack())
			return fuse.EIO
		},
	}
	return &device{
		file:    file,
		fd:      int(file.Fd()),
		proto:   fuse.NewProtocolServer(raw, opts),
		buffers: sync.Pool{New: newBuffers},

		forgotten: make(chan string, forgetQueue),
		done:      make(chan struct{}),
	}
}

// start answers INIT, which is the first request after the mount and the only
// one until it is answered, and then begins to serve.
func (d *device) start() error {
	b := d.buffers.Get().(*buffers)
	defer d.buffers.Put(b)
	request, err := d.read(b.request)
	if err != nil {
		return fmt.Errorf("read INIT: %w", err)
	}
	if op := opcode(request); op != opInit {
		return fmt.Errorf("first request has opcode %d, want INIT", op)
	}
	d.answer(request, b.reply)
	fd, err := unix.FcntlInt(uintptr(d.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("fcntl", err)
	}
	go forgetNames(os.NewFile(uintptr(fd), d.file.Name()), d.forgotten, d.done)
	for range idleReaders {
		d.addReader()
	}
	go func() {
		d.readers.Wait()
		close(d.done)
	}()
	return nil
}

// close waits for the loop to end, which it does when the connection is aborted.
func (d *device) close() error {
	<-d.done
	return d.file.Close()
}

func (d *device) addReader() {
	d.idle.Add(1)
	d.readers.Go(d.serve)
}

func (d *device) serve() {
	b := d.buffers.Get().(*buffers)
	defer d.buffers.Put(b)
	for {
		request, err := d.read(b.request)
		if err != nil {
			return
		}
		if op := opcode(request); op == opForget || op == opBatchForget {
			continue
		}
		if d.idle.Add(-1) == 0 {
			d.addReader()
		}
		d.answer(request, b.reply)
		if d.idle.Add(1) > idleReaders {
			d.idle.Add(-1)
			return
		}
	}
}

type buffers struct {
	request, reply []byte
}

func newBuffers() any {
	return &buffers{
		request: make([]byte, requestSize),
		// A READDIR asks for a page, whatever its size is on this machine.
		reply: make([]byte, max(maxRead, os.Getpagesize())+4<<10),
	}
}

// read returns an error once the connection is gone.
func (d *device) read(buf []byte) ([]byte, error) {
	for {
		n, err := unix.Read(d.fd, buf)
		switch {
		case err == nil && n < inHeaderLen:
			return nil, io.ErrUnexpectedEOF
		case err == nil:
			return buf[:n], nil
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.EAGAIN):
		case errors.Is(err, unix.ENOENT): // the request was interrupted
		default:
			return nil, err
		}
	}
}

func (d *device) answer(request, reply []byte) {
	var n int
	switch op := opcode(request); {
	case op == opInterrupt:
		// After ENOSYS the kernel sends no more of these. Handlers are short.
		n = errorReply(reply, request, unix.ENOSYS)
	case op == opPoll && d.poll != nil:
		n = d.answerPoll(request, reply)
	default:
		var st fuse.Status
		n, st = d.proto.HandleRequest([][]byte{request}, [][]byte{reply})
		if !st.Ok() {
			n = errorReply(reply, request, unix.EIO)
		}
	}
	if n > 0 {
		d.write(reply[:n])
	}
}

// answerPoll does what the protocol server doesn't know: a struct fuse_poll_in {fh,
// kh, flags, events} asks, a struct fuse_poll_out {revents, padding} answers.
func (d *device) answerPoll(request, reply []byte) int {
	if len(request) < inHeaderLen+24 {
		return errorReply(reply, request, unix.EIO)
	}
	body := request[inHeaderLen:]
	events := d.poll(binary.NativeEndian.Uint64(body), binary.NativeEndian.Uint64(body[8:]))
	b := appendOutHeader(reply[:0], outHeaderLen+8, 0, unique(request))
	b = binary.NativeEndian.AppendUint32(b, events)
	return len(binary.NativeEndian.AppendUint32(b, 0))
}

// write drops errors: the kernel refuses a reply only when nobody waits for it
// any more, be it this request (ENOENT) or all of them.
func (d *device) write(reply []byte) {
	for {
		if _, err := unix.Write(d.fd, reply); !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// Opcodes of include/uapi/linux/fuse.h that the loop itself knows.
const (
	opForget      = 2
	opInit        = 26
	opInterrupt   = 36
	opPoll        = 40
	opBatchForget = 42
)

// opcode is the second field of struct fuse_in_header.
func opcode(request []byte) uint32 { return binary.NativeEndian.Uint32(request[4:]) }

// unique is the third field, which the reply repeats.
func unique(request []byte) uint64 { return binary.NativeEndian.Uint64(request[8:]) }

// errorReply writes a struct fuse_out_header and returns its length.
func errorReply(reply, request []byte, errno unix.Errno) int {
	return len(appendOutHeader(reply[:0], outHeaderLen, -int32(errno), unique(request)))
}

const (
	inHeaderLen  = 40
	outHeaderLen = 16
)

// appendOutHeader: status is a negative errno, or the code of a notification.
func appendOutHeader(b []byte, length int, status int32, unique uint64) []byte {
	b = binary.NativeEndian.AppendUint32(b, uint32(length))
	b = binary.NativeEndian.AppendUint32(b, uint32(status))
	return binary.NativeEndian.AppendUint64(b, unique)
}
