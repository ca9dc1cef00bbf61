package sys

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// notificationFD gives a descriptor to the thread of a notification (struct
// seccomp_notif_addfd).
type notificationFD struct {
	id       uint64
	flags    uint32
	source   uint32
	target   uint32
	newFlags uint32
}

// RespondWithFD gives the thread a copy of a descriptor, whose number is what its system
// call returns. Errors are those of RespondNotification, and of the thread, such as EMFILE,
// which then still waits for an answer.
func RespondWithFD(listener *FD, id uint64, fd *FD, closeOnExec bool) error {
	// A signal that comes between may have the thread go on without the descriptor.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	restore, err := blockSignals()
	if err != nil {
		return err
	}
	defer restore()
	n := notificationFD{id: id, flags: unix.SECCOMP_ADDFD_FLAG_SEND, source: uint32(fd.fd)}
	if closeOnExec {
		n.newFlags = unix.O_CLOEXEC
	}
	return notifyIoctl(listener, unix.SECCOMP_IOCTL_NOTIF_ADDFD, unsafe.Pointer(&n))
}
