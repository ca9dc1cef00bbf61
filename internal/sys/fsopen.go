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
func NewMount(fstype string, attrs Attr, options ...[2]string) (*Tree, error) {
	return newMount(fstype, attrs, options, func(int) error { return nil })
}

// NewProc makes a proc of a pid namespace and a detached mount of it. The thread must be
// locked.
func NewProc(pidns *Namespace, attrs Attr, options ...[2]string) (*Tree, error) {
	noOption := false
	tree, err := newMount("proc", attrs, options, func(context int) error {
		err := unix.FsconfigSetFd(context, "pidns", pidns.fd) // since Linux 6.17
		noOption = errors.Is(err, unix.EINVAL)
		return os.NewSyscallError("fsconfig pidns", err)
	})
	if noOption {
		return procByMember(pidns, attrs, options)
	}
	return tree, err
}

// procByMember has a member of the namespace make it, which the namespace's own see as
// long as that takes.
func procByMember(pidns *Namespace, attrs Attr, options [][2]string) (tree *Tree, err error) {
	var s *Stub
	err = inNamespace(pidns, "pid_for_children", NewPID, func() (err error) { s, err = NewStub(); return err })
	if err != nil {
		return nil, err
	}
	defer func() { <-s.End() }()
	return s.newMount("proc", attrs, options)
}

// newMount calls more with the file system's context before it makes it.
func newMount(fstype string, attrs Attr, options [][2]string, more func(context int) error) (_ *Tree, err error) {
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
	if err := more(context); err != nil {
		return nil, err
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
