package sys

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Stub is a process without a program: a copy of this one, with one thread, that does
// nothing but make the system calls it is told to. It can become what a program in Go
// can't, as a member of another user namespace, and a call that never returns holds up
// nobody but it. It has no descriptors of this process but those it was given.
//
// A Stub is for one goroutine at a time, but for End.
type Stub struct {
	pid    int
	conn   *os.File // whose other end is the stub's
	theirs int      // the stub's end
	giver  int      // the stub's descriptor of this process, until Become
	moved  bool     // its root is not that of its mount namespace
	memory []byte   // shared with it: stubCalls and what their pointers point to
	used   int      // of memory
	names  []string // of the calls that are to be made
	end    sync.Once
	gone   chan struct{}
}

// stubCalls are at the beginning of the shared memory: calls that the stub makes one
// after the other, until one fails.
type stubCalls struct {
	count, made uintptr
	conn        uintptr // the stub's end
	stack       uintptr // an address on the stub's stack
	call        [16]stubCall
}

type stubCall struct {
	nr     uintptr
	args   [6]uintptr
	result uintptr
	errno  syscall.Errno
	child  *stubCalls // of clone(2): what the new process makes instead
}

// stubMemory is enough for the arguments of every call that a stub makes: the longest
// are the groups of a process (NGROUPS_MAX) and a path.
const stubMemory = 65536*4 + 16384

// ErrStubGone says that a stub has been killed.
var ErrStubGone = errors.New("the process that makes a system call for another is gone")

// NewStub starts a stub in the namespaces of the calling thread's children.
func NewStub() (*Stub, error) { return newStub(0) }

// newStub starts one in new namespaces.
func newStub(namespaces uintptr) (*Stub, error) {
	giver, err := OpenProcess(os.Getpid())
	if err != nil {
		return nil, err
	}
	defer giver.Close()
	s, k, err := prepareStub()
	if err != nil {
		return nil, err
	}
	defer k.close()
	return s.begin(giver.fd, k.conn.fd, func() (int, error) { return forkStub(namespaces, s.calls()) })
}

// stubKit is what a stub is given at its beginning, and nobody needs after that.
type stubKit struct{ memory, conn *FD }

func (k *stubKit) close() {
	_, _ = k.memory.Close(), k.conn.Close() // nothing is lost with them
}

func prepareStub() (*Stub, *stubKit, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	k := &stubKit{conn: &FD{fds[1]}}
	err = os.NewSyscallError("fcntl", unix.SetNonblock(fds[0], true)) // for deadlines
	s := &Stub{conn: os.NewFile(uintptr(fds[0]), "stub"), gone: make(chan struct{})}
	if err == nil {
		k.memory, err = NewSharedMemory("stub", stubMemory)
	}
	if err == nil {
		s.memory, err = MapSharedMemory(k.memory, stubMemory)
	}
	if err != nil {
		k.close()
		return nil, nil, errors.Join(err, s.conn.Close())
	}
	return s, k, nil
}

// begin has start start the stub's process, in which giver and conn are this process and
// the stub's end, and returns the stub once that has nothing else.
func (s *Stub) begin(giver, conn int, start func() (pid int, err error)) (_ *Stub, err error) {
	s.giver, s.theirs = giver, conn
	s.calls().conn = uintptr(conn)
	// It does this before all else: as long as it has our end, it does not notice that we
	// are gone.
	s.planCloseAllBut(giver, conn)
	names := s.start()
	s.pid, err = start()
	if err != nil && s.pid <= 0 {
		return nil, errors.Join(err, s.conn.Close(), UnmapSharedMemory(s.memory))
	}
	if err == nil {
		err = s.wait(names)
	}
	if err != nil {
		s.End()
		return nil, err
	}
	return s, nil
}

func forkStub(namespaces uintptr, c *stubCalls) (pid int, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// A signal would have the stub run this program's handler.
	restore, err := blockSignals()
	if err != nil {
		return 0, err
	}
	pid, errno := runStub(namespaces|uintptr(unix.SIGCHLD), c)
	restore()
	if errno != 0 {
		return 0, os.NewSyscallError("clone", errno)
	}
	return pid, nil
}

// runStub is all that the stub runs. It must not grow its stack, be preempted or be
// looked at by the race detector: the stub has no runtime. That nobody has the other
// end any more ends it.
//
//go:norace
//go:nosplit
func runStub(flags uintptr, c *stubCalls) (int, syscall.Errno) {
	pid, _, errno := syscall.RawSyscall6(unix.SYS_CLONE, flags, 0, 0, 0, 0, 0)
	if errno != 0 || pid != 0 {
		return int(pid), errno
	}
	var token byte
	c.stack = uintptr(unsafe.Pointer(&token))
	for n := uintptr(1); n == 1; {
		for c.made = 0; c.made < c.count; {
			one := &c.call[c.made&15]
			result, _, errno := syscall.RawSyscall6(one.nr, one.args[0], one.args[1], one.args[2], one.args[3], one.args[4], one.args[5])
			if one.child != nil && result == 0 && errno == 0 { // this is the new process
				c = one.child
				c.made = 0
				continue
			}
			one.result, one.errno = result, errno
			if errno != 0 {
				break
			}
			c.made++
		}
		syscall.RawSyscall6(unix.SYS_WRITE, c.conn, uintptr(unsafe.Pointer(&token)), 1, 0, 0, 0)
		n, _, _ = syscall.RawSyscall6(unix.SYS_READ, c.conn, uintptr(unsafe.Pointer(&token)), 1, 0, 0, 0)
	}
	for {
		syscall.RawSyscall6(unix.SYS_EXIT_GROUP, 0, 0, 0, 0, 0, 0)
	}
}

func (s *Stub) calls() *stubCalls { return (*stubCalls)(unsafe.Pointer(&s.memory[0])) }

// SetDeadline is when calls return os.ErrDeadlineExceeded, whatever the stub waits for.
func (s *Stub) SetDeadline(t time.Time) error { return s.conn.SetDeadline(t) }

// End kills the stub and returns a channel that is closed when there is no trace of it
// any more, which is never if it waits for what never comes.
func (s *Stub) End() <-chan struct{} {
	s.end.Do(func() {
		// The number is the stub's until Wait4 has returned.
		_ = unix.Kill(s.pid, unix.SIGKILL)
		go func() {
			for {
				if _, err := unix.Wait4(s.pid, nil, 0, nil); !errors.Is(err, unix.EINTR) {
					break
				}
			}
			_, _ = s.conn.Close(), UnmapSharedMemory(s.memory) // nothing is lost with them
			close(s.gone)
		}()
	})
	return s.gone
}

// plan adds a call to those that are to be made. Pointers among the arguments are those
// of put, putString and reserve; the memory is used again after the next do.
func (s *Stub) plan(name string, nr uintptr, args ...uintptr) {
	c := s.calls()
	one := &c.call[len(s.names)]
	*one = stubCall{nr: nr}
	copy(one.args[:], args)
	s.names = append(s.names, name)
}

// do has the stub make a call after those that are planned, and returns its result.
func (s *Stub) do(name string, nr uintptr, args ...uintptr) (uintptr, error) {
	last := len(s.names)
	s.plan(name, nr, args...)
	err := s.run()
	return s.calls().call[last].result, err
}

// run has the stub make the calls that are planned. None is made after one that fails.
func (s *Stub) run() error {
	names := s.start()
	if _, err := s.conn.Write([]byte{1}); err != nil {
		return fmt.Errorf("%w: %w", ErrStubGone, err)
	}
	return s.wait(names)
}

// start makes the calls that are planned those to be made, and returns their names.
func (s *Stub) start() []string {
	names := s.names
	s.calls().count, s.names, s.used = uintptr(len(names)), s.names[:0], 0
	return names
}

// wait returns when the stub has made the calls, or one has failed.
func (s *Stub) wait(names []string) error {
	_, err := s.conn.Read(make([]byte, 1))
	c := s.calls()
	made := int(c.made)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("%s: %w", names[min(made, len(names)-1)], err)
	case err != nil: // the end of the stream
		return fmt.Errorf("%w: %w", ErrStubGone, err)
	case made < len(names):
		return os.NewSyscallError(names[made], c.call[made].errno)
	}
	return nil
}

// reserve returns memory for n bytes of a call that has not been made yet.
func (s *Stub) reserve(n int) ([]byte, uintptr, error) {
	start := max(s.used, int(unsafe.Sizeof(stubCalls{}))+7) &^ 7
	if n < 0 || n > len(s.memory)-start {
		return nil, 0, unix.E2BIG
	}
	s.used = start + n + 7
	b := s.memory[start : start+n : start+n]
	clear(b)
	return b, uintptr(unsafe.Pointer(&s.memory[start])), nil
}

// putString gives the stub a string that ends with a zero byte.
func (s *Stub) putString(text string) (uintptr, error) {
	b, addr, err := s.reserve(len(text) + 1)
	copy(b, text)
	return addr, err
}

// put gives the stub values of a fixed size, as they are in memory.
func (s *Stub) put(v any) (b []byte, addr uintptr, err error) {
	b, addr, err = s.reserve(binary.Size(v))
	if err == nil {
		_, err = binary.Encode(b, binary.NativeEndian, v)
	}
	return b, addr, err
}

// planCloseAllBut is for what the stub has inherited.
func (s *Stub) planCloseAllBut(keep ...int) {
	slices.Sort(keep)
	next := 0
	for _, fd := range keep {
		if next < fd {
			s.plan("close_range", unix.SYS_CLOSE_RANGE, uintptr(next), uintptr(fd-1), 0)
		}
		next = fd + 1
	}
	s.plan("close_range", unix.SYS_CLOSE_RANGE, uintptr(next), uintptr(^uint32(0)), 0)
}
