package sys

import (
	"os"

	"golang.org/x/sys/unix"
)

// ChangeRoot makes the mount at dir the root of the calling thread's mount namespace,
// and unmounts all else. Nothing in the namespace may propagate to others.
func ChangeRoot(dir string) error {
	if err := unix.Chdir(dir); err != nil {
		return os.NewSyscallError("chdir", err)
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return os.NewSyscallError("pivot_root", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil { // the old root, on top of the new one
		return os.NewSyscallError("umount", err)
	}
	return os.NewSyscallError("chdir", unix.Chdir("/"))
}
