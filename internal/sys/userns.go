package sys

import (
	"errors"
	"fmt"
	"os"
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

// ofChild opens a namespace of a stub in new namespaces, after prepare has been called
// with its number: the kernel gives a user namespace only to a new process.
func ofChild(flags uintptr, kind string, prepare func(pid int) error) (*Namespace, error) {
	s, err := newStub(flags)
	if err != nil {
		return nil, err
	}
	defer func() { <-s.End() }()
	if err := prepare(s.pid); err != nil {
		return nil, err
	}
	return OpenPIDNamespace(s.pid, kind)
}
