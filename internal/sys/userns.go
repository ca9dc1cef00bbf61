package sys

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// NewUserNamespace makes a user namespace in which the ids from 0 to size-1 are
// the host's from start, for user and group ids alike. Nothing runs in it; it
// exists as long as the descriptor is open, and serves to id-map mounts.
func NewUserNamespace(start, size uint32) (*Namespace, error) {
	ns, err := ofChild(NewUser, "user", func(pid int) error {
		line := fmt.Appendf(nil, "0 %d %d", start, size)
		return errors.Join(
			os.WriteFile(fmt.Sprintf("/proc/%d/uid_map", pid), line, 0),
			os.WriteFile(fmt.Sprintf("/proc/%d/gid_map", pid), line, 0))
	})
	if err != nil {
		return nil, fmt.Errorf("make user namespace with ids %d to %d: %w", start, uint64(start)+uint64(size)-1, err)
	}
	return ns, nil
}

// NewLockedMounts makes a copy of the calling thread's mount namespace that belongs
// to another user namespace. The kernel locks the restrictions of all mounts in it:
// a mount that is cloned from there can never lose its read-only, nosuid, nodev and
// noexec, wherever it is taken.
func NewLockedMounts() (*Namespace, error) {
	ns, err := ofChild(NewUser|NewNS, "mnt", func(int) error { return nil })
	if err != nil {
		return nil, fmt.Errorf("copy mount namespace into another user namespace: %w", err)
	}
	return ns, nil
}

// ofChild opens a namespace of a child in new namespaces, after prepare has been called
// with its number: the kernel gives a user namespace only to a new process. The child
// waits for the end of a pipe, and then is no more.
func ofChild(flags uintptr, kind string, prepare func(pid int) error) (_ *Namespace, err error) {
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return nil, os.NewSyscallError("pipe2", err)
	}
	pid, errno := forkWaiting(flags, pipe[0], pipe[1])
	err = os.NewSyscallError("close", unix.Close(pipe[0]))
	if errno != 0 {
		return nil, errors.Join(os.NewSyscallError("clone", errno), err, unix.Close(pipe[1]))
	}
	defer func() { err = errors.Join(err, unix.Close(pipe[1]), reap(pid)) }()
	if err := errors.Join(err, prepare(pid)); err != nil {
		return nil, err
	}
	return OpenPIDNamespace(pid, kind)
}

func reap(pid int) error {
	for {
		_, err := unix.Wait4(pid, nil, 0, nil)
		if !errors.Is(err, unix.EINTR) {
			return os.NewSyscallError("wait4", err)
		}
	}
}
