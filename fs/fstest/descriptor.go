package fstest

import (
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Descriptor is a file of the kernel's. Other than os.File, it asks nothing of the file
// but what it is told to.
type Descriptor int

var _ File = Descriptor(0)

// OpenDescriptor opens a file for reading.
func OpenDescriptor(path string) (File, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return Descriptor(fd), nil
}

func (d Descriptor) Read(buf []byte) (int, error) {
	return transferred("read", func() (int, error) { return unix.Read(int(d), buf) })
}

// ReadAt returns less than there is if the kernel does.
func (d Descriptor) ReadAt(buf []byte, offset int64) (int, error) {
	return transferred("pread", func() (int, error) { return unix.Pread(int(d), buf, offset) })
}

// Seek implements io.Seeker.
func (d Descriptor) Seek(offset int64, whence int) (int64, error) {
	return unix.Seek(int(d), offset, whence)
}

// Close implements io.Closer.
func (d Descriptor) Close() error { return unix.Close(int(d)) }

// transferred makes io.EOF of nothing, and calls again what a signal ended.
func transferred(name string, call func() (int, error)) (int, error) {
	for {
		n, err := call()
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return 0, os.NewSyscallError(name, err)
		case n == 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}
