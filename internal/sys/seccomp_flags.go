package sys

import (
	"errors"

	"golang.org/x/sys/unix"
)

// HasWaitKillable reports whether the kernel knows SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
// (Linux 5.19). It asks for a filter at no address: flags are looked at first.
func HasWaitKillable() bool {
	const flags = unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, 0)
	return errors.Is(errno, unix.EFAULT)
}
