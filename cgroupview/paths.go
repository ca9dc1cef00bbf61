package cgroupview

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/containerd/cgroups/v3"
	"golang.org/x/sys/unix"
)

// Paths names one cgroup in every hierarchy, as /proc/PID/cgroup does. It is
// plain data that can be stored and used again after a restart.
type Paths struct {
	// Unified is the path in the cgroup2 tree, "" if that is not mounted.
	Unified string `json:"unified,omitempty"`
	// V1 holds the path by controller; the key of a named hierarchy is
	// "name=…".
	V1 map[string]string `json:"v1,omitempty"`
}

// PathsOf reads the cgroup of a process from /proc/PID/cgroup. pid is a number
// of the calling process' pid namespace. It returns ErrGone if the process has
// ended or its cgroup has been removed.
func (l *Layout) PathsOf(pid int) (Paths, error) {
	v1, unified, err := cgroups.ParseCgroupFileUnified(l.root.Path("proc", strconv.Itoa(pid), "cgroup"))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
		err = ErrGone
	}
	if err != nil {
		return Paths{}, fmt.Errorf("find cgroup of process %d: %w", pid, err)
	}
	p := Paths{Unified: unified, V1: v1}
	if p.deleted() {
		return Paths{}, fmt.Errorf("find cgroup of process %d: %w", pid, ErrGone)
	}
	return p, nil
}

// deleted reports whether the kernel marked a path as that of a removed cgroup,
// which a zombie can still be a member of.
func (p Paths) deleted() bool {
	const mark = " (deleted)"
	if strings.HasSuffix(p.Unified, mark) {
		return true
	}
	for _, path := range p.V1 {
		if strings.HasSuffix(path, mark) {
			return true
		}
	}
	return false
}
