package sys

import (
	"os"

	"golang.org/x/sys/unix"
)

// nsGetTGIDFromPIDNS is NS_GET_TGID_FROM_PIDNS (Linux 6.11), _IOR(NSIO, 0x7, int).
const nsGetTGIDFromPIDNS = 0x8004b707

// Init returns the number, in the caller's pid namespace, of the first process of the pid
// namespace n. ESRCH means that it has ended, ENOTTY that the kernel does not tell
// (Linux 6.11 does).
func (n *Namespace) Init() (int, error) {
	pid, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(n.fd), nsGetTGIDFromPIDNS, 1)
	if errno != 0 {
		return 0, os.NewSyscallError("ioctl NS_GET_TGID_FROM_PIDNS", errno)
	}
	return int(pid), nil
}

// Parent opens the namespace that n was made in, of a pid or user namespace. EPERM means
// that it is outside the caller's own.
func (n *Namespace) Parent() (*Namespace, error) {
	fd, err := unix.IoctlRetInt(n.fd, unix.NS_GET_PARENT)
	if err != nil {
		return nil, os.NewSyscallError("ioctl NS_GET_PARENT", err)
	}
	return newNamespace(&FD{fd})
}
