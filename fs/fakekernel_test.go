package fs

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"cloister/fs/memory"
)

// fakeKernel is the other end of a device: a socket that keeps message borders,
// as /dev/fuse does.
type fakeKernel struct {
	t       testing.TB
	b       *superblock
	d       *device
	file    *os.File
	replies chan answer
	notices chan answer
	unique  uint64
}

// answer is what the device has written. A notification has unique 0 and its code where
// a reply has its error.
type answer struct {
	errno  unix.Errno
	unique uint64
	body   []byte
}

func (a answer) code() int { return -int(int32(a.errno)) }

// serveFake serves testFiles, with testSlot, to a fake kernel until the test ends.
func serveFake(t testing.TB, c Content, opts Options) *fakeKernel {
	t.Helper()
	return connectFake(t, newTestSuperblock(t, c, opts))
}

// connectFake connects a device until the test ends.
func connectFake(t testing.TB, b *superblock) *fakeKernel {
	t.Helper()
	k, file := dialFake(t, b, newMemoryFile(t))
	k.greet()
	k.serve(file)
	return k
}

func newMemoryFile(t testing.TB) *os.File {
	t.Helper()
	f, err := memory.Create()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// dialFake makes a device that does not serve yet, and returns its file.
func dialFake(t testing.TB, b *superblock, mem *os.File) (*fakeKernel, *os.File) {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	m, err := memory.Open(mem)
	if err != nil {
		t.Fatal(err)
	}
	k := &fakeKernel{
		t: t, b: b, file: os.NewFile(uintptr(pair[1]), "kernel"), unique: 2,
		replies: make(chan answer, 1<<16), notices: make(chan answer, 1<<16),
	}
	file := os.NewFile(uintptr(pair[0]), "device")
	k.d = newDevice(file, m, b)
	return k, file
}

func (k *fakeKernel) greet() {
	k.t.Helper()
	k.send(opInit, 1, 0, initIn(7, 45))
	if err := k.d.greet(); err != nil {
		k.t.Fatal(err)
	}
	if r, err := k.next(); err != nil || r.unique != 1 || r.errno != 0 || len(r.body) < 24 {
		k.t.Fatalf("reply to INIT is %+v, %v", r, err)
	}
}

// serve begins to serve, until the test ends.
func (k *fakeKernel) serve(file *os.File) {
	collected := k.start()
	k.t.Cleanup(func() {
		k.hangUp(file)
		<-collected
		k.file.Close()
	})
}

// start begins to serve. The channel is closed after the device's last word.
func (k *fakeKernel) start() <-chan struct{} {
	collected := make(chan struct{})
	go func() {
		defer close(collected)
		k.collect()
	}()
	k.d.start(1)
	return collected
}

// hangUp ends the connection, as an abort does.
func (k *fakeKernel) hangUp(file *os.File) {
	k.t.Helper()
	if err := unix.Shutdown(int(k.file.Fd()), unix.SHUT_RDWR); err != nil {
		k.t.Error(err)
	}
	if err := k.d.close(func() error { return nil }); err != nil {
		k.t.Error(err)
	}
	file.Close()
}

// collect sorts what the device writes.
func (k *fakeKernel) collect() {
	defer close(k.replies)
	for {
		r, err := k.next()
		switch {
		case errors.Is(err, io.EOF):
			return
		case err != nil:
			k.t.Error(err)
			return
		case r.unique == 0:
			k.notices <- r
		default:
			k.replies <- r
		}
	}
}

var messages = sync.Pool{New: func() any { return new([1 << 17]byte) }}

func (k *fakeKernel) next() (answer, error) {
	b := messages.Get().(*[1 << 17]byte)
	defer messages.Put(b)
	n, err := k.file.Read(b[:])
	if err != nil {
		return answer{}, err
	}
	if length := binary.NativeEndian.Uint32(b[:]); int(length) != n || n < outHeaderLen {
		k.t.Errorf("reply of %d bytes says that it has %d", n, length)
	}
	return answer{
		errno:  unix.Errno(-int32(binary.NativeEndian.Uint32(b[4:]))),
		unique: binary.NativeEndian.Uint64(b[8:]),
		body:   append([]byte(nil), b[outHeaderLen:n]...),
	}, nil
}

// initIn is a struct fuse_init_in.
func initIn(major, minor uint32) []byte {
	b := binary.NativeEndian.AppendUint32(nil, major)
	b = binary.NativeEndian.AppendUint32(b, minor)
	return append(b, make([]byte, 56)...)
}

// requestBytes is a request of a task.
func requestBytes(opcode uint32, unique, node uint64, pid uint32, body []byte) []byte {
	b := binary.NativeEndian.AppendUint32(nil, uint32(inHeaderLen+len(body)))
	b = binary.NativeEndian.AppendUint32(b, opcode)
	b = binary.NativeEndian.AppendUint64(b, unique)
	b = binary.NativeEndian.AppendUint64(b, node)
	b = append(b, make([]byte, 8)...)
	b = binary.NativeEndian.AppendUint32(b, pid)
	return append(append(b, 0, 0, 0, 0), body...)
}

func (k *fakeKernel) send(opcode uint32, unique, node uint64, body []byte) {
	k.t.Helper()
	if _, err := k.file.Write(requestBytes(opcode, unique, node, 0, body)); err != nil {
		k.t.Fatal(err)
	}
}

func (k *fakeKernel) receive() answer {
	k.t.Helper()
	r, ok := <-k.replies
	if !ok {
		k.t.Fatal("the device is gone")
	}
	return r
}

// call sends a request and returns its reply, while there is no other.
func (k *fakeKernel) call(opcode uint32, node uint64, body []byte) answer {
	k.t.Helper()
	return k.callBy(0, opcode, node, body)
}

// callBy is call of a task.
func (k *fakeKernel) callBy(pid, opcode uint32, node uint64, body []byte) answer {
	k.t.Helper()
	inOrder.pass()
	defer inOrder.pass()
	k.unique += 2
	if _, err := k.file.Write(requestBytes(opcode, k.unique, node, pid, body)); err != nil {
		k.t.Fatal(err)
	}
	r := k.receive()
	if r.unique != k.unique {
		k.t.Fatalf("got a reply to request %d, want one to %d", r.unique, k.unique)
	}
	return r
}

// fields is a body of them.
func fields(values ...any) []byte {
	var b []byte
	for _, v := range values {
		var err error
		if b, err = binary.Append(b, binary.NativeEndian, v); err != nil {
			panic(err)
		}
	}
	return b
}

func openIn(flags uint32) []byte { return fields(flags, uint32(0)) }

func readIn(fh, offset uint64, size, flags uint32) []byte {
	return fields(fh, offset, size, flags, make([]byte, 16))
}

func (k *fakeKernel) lookup(path string) fuse.EntryOut {
	k.t.Helper()
	out := fuse.EntryOut{NodeId: uint64(rootID)}
	for name := range strings.SplitSeq(path, "/") {
		r := k.call(opLookup, out.NodeId, []byte(name+"\x00"))
		if r.errno != 0 || len(r.body) != int(unsafe.Sizeof(out)) {
			k.t.Fatalf("look up %s: %v, %d bytes", path, r.errno, len(r.body))
		}
		out = *(*fuse.EntryOut)(unsafe.Pointer(&r.body[0]))
	}
	return out
}

// openFile is a file that the fake kernel has open.
type openFile struct {
	k        *fakeKernel
	node, fh uint64
	flags    uint32
}

func (k *fakeKernel) open(node uint64, flags uint32) (openFile, unix.Errno) {
	k.t.Helper()
	r := k.call(opOpen, node, openIn(flags))
	if r.errno != 0 {
		return openFile{}, r.errno
	}
	return openFile{k, node, binary.NativeEndian.Uint64(r.body), binary.NativeEndian.Uint32(r.body[8:])}, 0
}

// mustOpen opens a file of testSlot.
func (k *fakeKernel) mustOpen(path string) openFile {
	k.t.Helper()
	f, errno := k.open(k.lookup("7.3/"+path).NodeId, 0)
	if errno != 0 {
		k.t.Fatalf("open %s: %v", path, errno)
	}
	return f
}

// read is a READ that is not for the page cache.
func (f openFile) read(offset uint64, size uint32) (string, unix.Errno) {
	f.k.t.Helper()
	r := f.k.call(opRead, f.node, readIn(f.fh, offset, size, readLockOwner))
	return string(r.body), r.errno
}

// readPage is one that is, by a task.
func (f openFile) readPage(pid uint32) (string, unix.Errno) {
	f.k.t.Helper()
	r := f.k.callBy(pid, opRead, f.node, readIn(f.fh, 0, 4096, 0))
	return string(r.body), r.errno
}

func (f openFile) mustRead() string {
	f.k.t.Helper()
	content, errno := f.read(0, maxRead)
	if errno != 0 {
		f.k.t.Fatalf("read: %v", errno)
	}
	return content
}

func (f openFile) release() {
	f.k.t.Helper()
	if r := f.k.call(opRelease, f.node, fields(f.fh, make([]byte, 16))); r.errno != 0 {
		f.k.t.Fatalf("release: %v", r.errno)
	}
}

func (f openFile) getattr() fuse.Attr { return f.k.attr(f.node, getAttrFH, f.fh) }

func (k *fakeKernel) getattr(node uint64) fuse.Attr { return k.attr(node, 0, 0) }

func (k *fakeKernel) attr(node uint64, flags uint32, fh uint64) fuse.Attr {
	k.t.Helper()
	r := k.call(opGetAttr, node, fields(flags, uint32(0), fh))
	if r.errno != 0 || len(r.body) != int(unsafe.Sizeof(fuse.AttrOut{})) {
		k.t.Fatalf("getattr: %v, %d bytes", r.errno, len(r.body))
	}
	return (*fuse.AttrOut)(unsafe.Pointer(&r.body[0])).Attr
}

// held is what is charged to testSlot.
func (k *fakeKernel) held() int64 { return k.b.slots.find(testSlot).held.Load() }

// expectNotice takes the next notification.
func (k *fakeKernel) expectNotice(code int, body any, rest string) {
	k.t.Helper()
	r := <-k.notices
	if want := string(fields(body)) + rest; r.code() != code || string(r.body) != want {
		k.t.Errorf("got notification %d %q, want %d %q", r.code(), r.body, code, want)
	}
}

func (k *fakeKernel) expectNoNotice() {
	k.t.Helper()
	select {
	case r := <-k.notices:
		k.t.Errorf("got notification %d %q", r.code(), r.body)
	default:
	}
}

func (k *fakeKernel) write(f openFile, text string) unix.Errno {
	k.t.Helper()
	r := k.call(opWrite, f.node, append(fields(f.fh, uint64(0), uint32(len(text)), make([]byte, 20)), text...))
	if r.errno == 0 && binary.NativeEndian.Uint32(r.body) != uint32(len(text)) {
		return unix.EIO
	}
	return r.errno
}

func (k *fakeKernel) poll(f openFile, poller uint64) uint32 {
	k.t.Helper()
	r := k.call(opPoll, f.node, fields(f.fh, poller, uint32(1), uint32(0xff)))
	if r.errno != 0 || len(r.body) != 8 {
		k.t.Fatalf("poll: %+v", r)
	}
	return binary.NativeEndian.Uint32(r.body)
}
