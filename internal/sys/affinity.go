package sys

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Affinity writes the CPUs that a thread may run on to mask, as bits, and returns how
// many bytes the kernel has for them. mask has room for all CPUs that the kernel can
// have, or the call fails with EINVAL. ESRCH means that there is no such thread.
func Affinity(tid int, mask []uint64) (int, error) {
	n, _, errno := unix.RawSyscall(unix.SYS_SCHED_GETAFFINITY, uintptr(tid),
		uintptr(len(mask)*8), uintptr(unsafe.Pointer(unsafe.SliceData(mask))))
	if errno != 0 {
		return 0, os.NewSyscallError("sched_getaffinity", errno)
	}
	return int(n), nil
}
