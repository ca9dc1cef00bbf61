package sys

import (
	"os"

	"golang.org/x/sys/unix"
)

// NewMemfd makes a file in memory that nobody can name (memfd_create(2)); name is
// only shown in /proc.
func NewMemfd(name string) (*FD, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	return &FD{fd}, nil
}

// Duplicate returns another descriptor of the same open file.
func Duplicate(fd int) (*FD, error) {
	n, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("fcntl F_DUPFD_CLOEXEC", err)
	}
	return &FD{n}, nil
}

// SetInherit says whether the descriptor stays open across execve(2). It is for the
// moment before that call: every process started meanwhile has the descriptor too.
func (f *FD) SetInherit(inherit bool) error {
	flags := unix.FD_CLOEXEC
	if inherit {
		flags = 0
	}
	_, err := unix.FcntlInt(uintptr(f.fd), unix.F_SETFD, flags)
	return os.NewSyscallError("fcntl F_SETFD", err)
}
