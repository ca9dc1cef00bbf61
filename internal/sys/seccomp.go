package sys

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Notification is a system call that a filter has handed to its listener (struct
// seccomp_notif).
type Notification struct {
	ID    uint64
	TID   uint32 // the thread's, in the receiver's pid namespace; 0 if it is not in it
	Flags uint32
	Nr    int32
	Arch  uint32 // AUDIT_ARCH_…, the convention that the call was made by
	IP    uint64
	Args  [6]uint64
}

// NotificationResponse answers a notification (struct seccomp_notif_resp): with
// Error, a negative errno, or with Value, or by ContinueCall.
type NotificationResponse struct {
	ID    uint64
	Value int64
	Error int32
	Flags uint32
}

// ContinueCall lets the kernel do the call. It reads the arguments' memory again.
const ContinueCall = unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE

// CheckNotifications reports whether the kernel's notifications are those that this
// package knows.
func CheckNotifications() error {
	var sizes struct{ notification, response, data uint16 }
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_GET_NOTIF_SIZES, 0, uintptr(unsafe.Pointer(&sizes)))
	if errno != 0 {
		return fmt.Errorf("kernel has no seccomp notifications (Linux 5.0 has): %w", os.NewSyscallError("seccomp", errno))
	}
	if uintptr(sizes.notification) != unsafe.Sizeof(Notification{}) ||
		uintptr(sizes.response) != unsafe.Sizeof(NotificationResponse{}) {
		return fmt.Errorf("kernel's seccomp notifications have %d and %d bytes, not those known here: %w",
			sizes.notification, sizes.response, unix.ENOTSUP)
	}
	return nil
}

// ReceiveNotification takes the next notification of a listener, and waits if there is
// none. The kernel itself writes it to n, which must be zero. It fails with ENOENT if
// the thread ended meanwhile, and with EINTR.
func ReceiveNotification(listener *FD, n *Notification) error {
	return notifyIoctl(listener, unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(n))
}

// RespondNotification lets the thread go on. ENOENT means that it does not wait any
// more: it has been killed or has got a signal.
func RespondNotification(listener *FD, r *NotificationResponse) error {
	return notifyIoctl(listener, unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(r))
}

// NotificationValid returns nil while the thread waits for the answer, so that until
// then its number was not that of another one, and ENOENT if it does not.
func NotificationValid(listener *FD, id uint64) error {
	return notifyIoctl(listener, unix.SECCOMP_IOCTL_NOTIF_ID_VALID, unsafe.Pointer(&id))
}

// WakeOnSameCPU tells the kernel that listener and thread take turns, so that each
// wakes the other on its own CPU. Kernels before Linux 6.6 have no such thing, which
// is no error.
func WakeOnSameCPU(listener *FD) error {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(listener.fd), unix.SECCOMP_IOCTL_NOTIF_SET_FLAGS,
		unix.SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP)
	if errno != 0 && errno != unix.EINVAL && errno != unix.ENOTTY {
		return os.NewSyscallError("ioctl SECCOMP_IOCTL_NOTIF_SET_FLAGS", errno)
	}
	return nil
}

func notifyIoctl(listener *FD, request uintptr, arg unsafe.Pointer) error {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(listener.fd), request, uintptr(arg))
	switch {
	case errno == 0:
		return nil
	case errors.Is(errno, unix.ENOENT), errors.Is(errno, unix.EINTR):
		return errno // expected, and not worth an allocation
	}
	return os.NewSyscallError("ioctl SECCOMP_IOCTL_NOTIF", errno)
}
