package fs

import (
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"time"
	"unsafe"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"cloister/fs/memory"
)

const (
	// maxRead is the longest READ: longer files take several.
	maxRead = 64 << 10
	// maxWrite is the longest WRITE. What is written here is a line.
	maxWrite = 4 << 10
	// maxBackground is how many requests that no task waits for may be under way, of all
	// slots together: what is read ahead, and by aio(7), by which one task asks for
	// thousands of reads at once. Who wants more waits for a place, in turn; so nobody else
	// waits for more than these.
	maxBackground = 128
)

// device is the loop on /dev/fuse: it reads requests, has the superblock answer them
// and writes the replies. Nothing else knows how that is done.
//
// One goroutine reads (a few on large machines) and answers on the spot what takes no
// wait: nearly everything, with one system call to get the request and one or two to
// answer it, and without an allocation. A request that may take longer makes it pass
// the reading on to the next one before it goes on: see queue.go.
type device struct {
	file   *os.File
	fd     int
	memory *memory.Memory
	sb     *superblock
	proto  *fuse.ProtocolServer // for what is rare

	mu      sync.Mutex
	resting []*reader // guarded by mu
	all     []*reader // guarded by mu
	tasks   sync.WaitGroup
	workers sync.Pool // of *worker

	sweeper sweeper
	expiry  expiry
	changes changes
	settles time.Duration // when what a predecessor has left under way has come to its end
	quiet   sync.RWMutex  // read-locked during a notification
	notices chan notice   // see notify.go
	ended   chan struct{} // closed when the connection is gone
	end     sync.Once
	done    chan struct{} // closed when the last request is answered after that
	// patience is how long close waits for done.
	patience time.Duration
}

// newDevice takes the memory, which close unmaps.
func newDevice(file *os.File, m *memory.Memory, sb *superblock) *device {
	d := &device{
		file: file, fd: int(file.Fd()), memory: m, sb: sb,
		workers: sync.Pool{New: func() any { w := newWorker(); return &w }},
		sweeper: newSweeper(), expiry: newExpiry(), changes: newChanges(),
		notices: make(chan notice, noticeQueue),
		ended:   make(chan struct{}),
		done:    make(chan struct{}), patience: closeWait,
	}
	opts := &fuse.MountOptions{
		Name:                     fsName,
		Logger:                   log.New(io.Discard, "", 0),
		MaxWrite:                 maxWrite,
		MaxBackground:            maxBackground,
		DisableXAttrs:            true,
		DisableReadDirPlus:       true,
		ExplicitDataCacheControl: !sb.pushed(),
		// Offered passthrough counts as a level of file system stacking.
		DisabledCapabilities: fuse.CAP_PASSTHROUGH | fuse.CAP_AUTO_INVAL_DATA,
		// Without it a read by io_uring that goes around the page cache doesn't move the
		// offset: after a short one io_uring asks for the same piece again, until the
		// buffer is full (Linux 6.18: fuse_direct_IO counts in a variable of its own).
		ExtraCapabilities: fuse.CAP_ASYNC_DIO,
		PanicHandler: func(v any) fuse.Status {
			sb.panicked("request", v, debug.Stack())
			return fuse.EIO
		},
	}
	if sb.pushed() {
		opts.ExtraCapabilities |= fuse.CAP_NO_OPENDIR_SUPPORT
	}
	d.proto = fuse.NewProtocolServer(sb, opts)
	d.sb.dev = d
	return d
}

// leaders is how many goroutines read requests at a time. On two CPUs a second one
// costs a single reader time and gains nothing.
func leaders() int { return min(4, (runtime.NumCPU()+3)/4) }

// start begins to serve, with what a predecessor was asked and did not answer.
func (d *device) start(leaders int) {
	own, err := unix.FcntlInt(uintptr(d.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil { // it tells things that are nice to know
		own = -1
	}
	go d.tellQueued(os.NewFile(uintptr(own), d.file.Name()))
	d.takeOver()
	if d.sb.pushed() {
		d.tasks.Go(d.expireAlways)
		d.tasks.Go(d.pushAlways)
	} else {
		d.tasks.Go(d.sweepAlways)
	}
	for range leaders {
		d.tasks.Go(func() { d.serve(d.newReader()) })
	}
	go func() {
		d.tasks.Wait()
		close(d.done)
	}()
}

// closeWait is for requests that are being answered when the connection ends. Most take
// less than a millisecond, but one that looks at its reader can be held up by it.
const closeWait = 10 * time.Second

// close waits for the loop to end, which it does when the connection is aborted, and
// then calls after. What takes too long is left alone: it has an error now, and what it
// uses stays until it ends.
func (d *device) close(after func() error) error {
	finish := func() error {
		d.sb.watches.closeAll()
		return errors.Join(d.memory.Close(), after())
	}
	select {
	case <-d.done:
		return finish()
	case <-time.After(d.patience):
	}
	go func() {
		<-d.done
		_ = finish() // nobody is left to be told
	}()
	return fmt.Errorf("requests are still being answered after %v", d.patience)
}

// read returns an error once the connection is gone.
func (d *device) read(buf []byte) (request, error) {
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

// pace is how much time an answer may take.
type pace bool

const (
	// quick allows no wait and no system call but for the reply.
	quick pace = true
	// slow allows what it takes.
	slow pace = false
)

// answer answers a request, or returns false if that would take longer than allowed;
// then nothing was done.
func (d *device) answer(w *worker, req request, p pace) (done bool) {
	defer func() {
		if v := recover(); v != nil {
			d.sb.panicked(d.sb.nameOf(req.node()), v, debug.Stack())
			d.write(w.reply.failed(req, unix.EIO))
			done = true
		}
	}()
	if p == quick {
		d.sb.stats.request(req.opcode())
	}
	switch op := req.opcode(); {
	case op == opForget, op == opBatchForget: // node ids are computed
		return true
	case op == opInterrupt, op == opFlush, op == opPoll && d.sb.writer == nil:
		// After ENOSYS the kernel sends no more of these. Handlers are short.
		d.write(w.reply.failed(req, unix.ENOSYS))
		return true
	case op == opIoctl:
		// As procfs does: isatty(3) asks this of every file that a shell reads.
		d.write(w.reply.failed(req, unix.ENOTTY))
		return true
	case d.sb.pushed():
		return d.answerPushed(w, req, p)
	}
	return d.answerExact(w, req, p)
}

// answerRare has the protocol server answer, which calls the methods of superblock.
func (d *device) answerRare(w *worker, req request, p pace) bool {
	if p == quick && (req.opcode() != opLookup || !d.lookupTakesNoWait(req)) {
		return false
	}
	n, st := d.proto.HandleRequest([][]byte{req}, [][]byte{w.reply})
	if !st.Ok() {
		d.write(w.reply.failed(req, unix.EIO))
	} else if n > 0 {
		d.write(w.reply[:n])
	}
	return true
}

// write reports whether the kernel took a reply. It refuses one only when nobody
// waits for it any more, be it this request (ENOENT) or all of them. The call doesn't
// wait, so the scheduler needs not be told of it.
func (d *device) write(reply []byte) bool {
	for {
		_, _, errno := unix.RawSyscall(unix.SYS_WRITE, uintptr(d.fd), uintptr(unsafe.Pointer(&reply[0])), uintptr(len(reply)))
		if errno != unix.EINTR {
			return errno == 0
		}
	}
}
