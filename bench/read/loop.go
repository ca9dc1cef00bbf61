package read

import (
	"errors"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// bufferSize is how much a reader asks for at a time.
const bufferSize = 64 << 10

// mostSamples bounds the latencies that a thread keeps of one slice.
const mostSamples = 1 << 18

var errEmpty = errors.New("read nothing")

// loop reads files over and over. The calls are raw: the scheduler of Go has no part in
// them, and its processor stays with the thread.
type loop struct {
	buffer  []byte
	samples []uint32 // nanoseconds
	paths   [][]byte // each ends with NUL
	fds     []int    // of the paths, for pread
	op      Op

	ops     int // how many reads there were
	counted int // those from the beginning on
	size    int // of the last one
}

func newLoop() *loop {
	return &loop{buffer: make([]byte, bufferSize), samples: make([]uint32, 0, mostSamples)}
}

// prepare sets the files, and opens them if they are kept open.
func (l *loop) prepare(paths []string, op Op) error {
	l.paths, l.op, l.samples = nil, op, l.samples[:0]
	for _, p := range paths {
		l.paths = append(l.paths, append([]byte(p), 0))
		if op == Pread {
			fd, err := unix.Open(p, unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				return errors.Join(&os.PathError{Op: "open", Path: p, Err: err}, l.finish())
			}
			l.fds = append(l.fds, fd)
		}
	}
	return nil
}

// finish closes what prepare has opened.
func (l *loop) finish() error {
	var errs []error
	for _, fd := range l.fds {
		errs = append(errs, unix.Close(fd))
	}
	l.fds = nil
	return errors.Join(errs...)
}

// run reads at least once and until the end, and leaves its counts and the latencies
// from the beginning on. Times count from zero.
func (l *loop) run(zero time.Time, begin, end time.Duration) error {
	l.ops, l.counted = 0, 0
	for i, before := 0, time.Since(zero); ; {
		var errno unix.Errno
		if l.op == Pread {
			l.size, errno = l.pread(l.fds[i])
		} else {
			l.size, errno = l.open(l.paths[i])
		}
		now := time.Since(zero)
		if errno != 0 {
			return errno
		}
		if l.size == 0 {
			return errEmpty
		}
		l.ops++
		if before >= begin {
			l.counted++
			if len(l.samples) < cap(l.samples) {
				l.samples = append(l.samples, uint32(now-before))
			}
		}
		if before = now; before >= end {
			return nil
		}
		if i++; i == len(l.paths) {
			i = 0
		}
	}
}

// open opens a file, reads all of it and closes it.
func (l *loop) open(path []byte) (size int, errno unix.Errno) {
	const cwd = ^uintptr(99) // AT_FDCWD, -100
	fd, _, errno := unix.RawSyscall6(unix.SYS_OPENAT, cwd, uintptr(unsafe.Pointer(&path[0])), unix.O_RDONLY|unix.O_CLOEXEC, 0, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	for {
		n, _, errno := unix.RawSyscall(unix.SYS_READ, fd, uintptr(unsafe.Pointer(&l.buffer[0])), bufferSize)
		if errno != 0 || n == 0 {
			unix.RawSyscall(unix.SYS_CLOSE, fd, 0, 0)
			return size, errno
		}
		size += int(n)
	}
}

// pread reads a file that is open from its beginning.
func (l *loop) pread(fd int) (size int, errno unix.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_PREAD64, uintptr(fd), uintptr(unsafe.Pointer(&l.buffer[0])), bufferSize, 0, 0, 0)
	return int(n), errno
}
