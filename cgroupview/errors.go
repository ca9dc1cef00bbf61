package cgroupview

import "errors"

var (
	// ErrGone says that the cgroup, or the process it was looked up by, has
	// been removed.
	ErrGone = errors.New("cgroup is gone")

	// ErrNoCgroup says that no cgroup hierarchy is mounted, or that a
	// container sits in the root of every one of them.
	ErrNoCgroup = errors.New("no cgroup of its own")

	// ErrFormat says that a kernel file held something other than its
	// documented format.
	ErrFormat = errors.New("unexpected format")
)
