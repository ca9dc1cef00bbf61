package cgroupview

import "errors"

var (
	// ErrGone says that the cgroup, or the process it was looked up by, has
	// been removed.
	ErrGone = errors.New("cgroup is gone")

	// ErrNoCgroup says that no cgroup hierarchy is mounted, or that a
	// container sits in the root of every one of them.
	ErrNoCgroup = errors.New("no cgroup of its own")

	// ErrAbsent says that the kernel offers no such file for the cgroup: the
	// controller is off, or the kernel lacks the feature.
	ErrAbsent = errors.New("not offered by the kernel")

	// ErrFormat says that a kernel file held something other than its
	// documented format.
	ErrFormat = errors.New("unexpected format")
)
