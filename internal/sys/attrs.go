package sys

import (
	"os"

	"golang.org/x/sys/unix"
)

// MountAttrs returns the attributes, of those that take something away, of the mount
// through which the file was opened.
func (f *FD) MountAttrs() (Attr, error) {
	var st unix.Statfs_t
	if err := unix.Fstatfs(f.fd, &st); err != nil {
		return 0, os.NewSyscallError("fstatfs", err)
	}
	// The numbers are the same as those of the attributes.
	return Attr(st.Flags) & (ReadOnly | NoSUID | NoDev | NoExec), nil
}
