package systest

import (
	"errors"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"cloister/internal/sys"
)

// linux/userfaultfd.h
const (
	uffdAPI         = 0xaa
	uffdioAPI       = 0xc018aa3f
	uffdioRegister  = 0xc020aa00
	registerMissing = 1
)

// HangAccess lets whoever accesses memory of this process wait until the returned
// descriptor is closed. It must be whole pages that nobody has used yet.
func HangAccess(addr, length uint64) (*sys.FD, error) {
	fd, _, errno := unix.Syscall(unix.SYS_USERFAULTFD, unix.O_CLOEXEC, 0, 0)
	if errno != 0 {
		return nil, os.NewSyscallError("userfaultfd", errno)
	}
	faults := sys.NewFD(int(fd))
	api := [3]uint64{uffdAPI}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, fd, uffdioAPI, uintptr(unsafe.Pointer(&api))); errno != 0 {
		return nil, errors.Join(os.NewSyscallError("ioctl UFFDIO_API", errno), faults.Close())
	}
	register := [4]uint64{addr, length, registerMissing}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, fd, uffdioRegister, uintptr(unsafe.Pointer(&register))); errno != 0 {
		return nil, errors.Join(os.NewSyscallError("ioctl UFFDIO_REGISTER", errno), faults.Close())
	}
	return faults, nil
}
