package sys

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// NewMount makes a file system and a detached mount of it. Each option is a name and
// its value. A proc shows the pid namespace, and a sysfs the network namespace, of the
// calling thread.
func NewMount(fstype string, attrs Attr, options ...[2]string) (_ *Tree, err error) {
	context, err := unix.Fsopen(fstype, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("fsopen %s: %w", fstype, err)
	}
	defer func() { err = errors.Join(err, os.NewSyscallError("close", unix.Close(context))) }()
	for _, o := range options {
		if err := unix.FsconfigSetString(context, o[0], o[1]); err != nil {
			return nil, fmt.Errorf("fsconfig %s %s=%s: %w", fstype, o[0], o[1], err)
		}
	}
	if err := unix.FsconfigCreate(context); err != nil {
		return nil, fmt.Errorf("fsconfig %s: %w", fstype, err)
	}
	fd, err := unix.Fsmount(context, unix.FSMOUNT_CLOEXEC, int(attrs))
	if err != nil {
		return nil, fmt.Errorf("fsmount %s: %w", fstype, err)
	}
	return &Tree{&FD{fd}}, nil
}
