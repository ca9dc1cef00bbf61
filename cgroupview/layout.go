package cgroupview

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/moby/sys/mountinfo"
)

// Mode is how a host mounts its cgroup hierarchies.
type Mode int

// The three modes, named as systemd names them.
const (
	Legacy  Mode = iota // v1 controllers only
	Hybrid              // v1 controllers and a cgroup2 tree
	Unified             // cgroup2 only; a named v1 hierarchy without controllers does not count
)

// String returns the name of the mode.
func (m Mode) String() string {
	return [...]string{"legacy", "hybrid", "unified"}[m]
}

// Layout says where the cgroup hierarchies of a host are mounted. It is
// immutable and safe for concurrent use.
type Layout struct {
	root Root
	mode Mode
	v1   map[string]*hierarchy // by controller, and "name=…" for named ones
	v2   *hierarchy            // nil if cgroup2 is not mounted

	buffers buffers // of all Groups
}

// hierarchy is one mounted tree of cgroups.
type hierarchy struct {
	dir  string // mount point, below the Layout's root
	base string // the cgroup seen there, "/" unless a part of the tree is mounted
	v2   bool
	top  bool // the mount point shows the root of the hierarchy, which has no limits
}

// Detect finds the hierarchies that are mounted for the calling process, from
// /proc/self/mountinfo below root. It returns ErrNoCgroup if there is none.
func Detect(root Root) (*Layout, error) {
	mounts, err := cgroupMounts(root)
	if err != nil {
		return nil, fmt.Errorf("find cgroup mounts: %w", err)
	}
	l := &Layout{root: root, v1: map[string]*hierarchy{}}
	for _, m := range mounts {
		l.add(m)
	}
	for h := range l.hierarchies() {
		if h.top, err = h.isTop(); err != nil {
			return nil, fmt.Errorf("inspect cgroup mount: %w", err)
		}
	}
	switch hasV1 := l.hasV1Controller(); {
	case hasV1 && l.v2 != nil:
		l.mode = Hybrid
	case hasV1:
		l.mode = Legacy
	case l.v2 != nil:
		l.mode = Unified
	default:
		return nil, fmt.Errorf("find cgroup mounts: %w", ErrNoCgroup)
	}
	return l, nil
}

// Mode returns how the host mounts its hierarchies.
func (l *Layout) Mode() Mode { return l.mode }

func cgroupMounts(root Root) ([]*mountinfo.Info, error) {
	f, err := os.Open(root.Path("proc/self/mountinfo"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return mountinfo.GetMountsFromReader(f, mountinfo.FSTypeFilter("cgroup", "cgroup2"))
}

// add takes one mount into the layout. A hierarchy can be mounted more than
// once; the first mount that shows the whole of it is kept.
func (l *Layout) add(m *mountinfo.Info) {
	if strings.Contains(m.Root, "..") {
		return // lies outside our cgroup namespace
	}
	h := &hierarchy{dir: l.root.Path(m.Mountpoint), base: m.Root, v2: m.FSType == "cgroup2"}
	if h.v2 {
		l.v2 = wider(l.v2, h)
		return
	}
	for opt := range strings.SplitSeq(m.VFSOptions, ",") {
		if strings.HasPrefix(opt, "name=") || slices.Contains(v1Controllers, opt) {
			l.v1[opt] = wider(l.v1[opt], h)
		}
	}
}

func wider(old, h *hierarchy) *hierarchy {
	if old == nil || old.base != "/" && h.base == "/" {
		return h
	}
	return old
}

// v1Controllers are the cgroup v1 controllers of Linux up to 6.18.
var v1Controllers = []string{
	"blkio", "cpu", "cpuacct", "cpuset", "devices", "freezer", "hugetlb",
	"memory", "misc", "net_cls", "net_prio", "perf_event", "pids", "rdma",
}

func (l *Layout) hasV1Controller() bool {
	return slices.ContainsFunc(v1Controllers, func(c string) bool { return l.v1[c] != nil })
}

// hierarchies yields each mounted hierarchy at least once.
func (l *Layout) hierarchies() func(yield func(*hierarchy) bool) {
	return func(yield func(*hierarchy) bool) {
		for _, h := range l.v1 {
			if !yield(h) {
				return
			}
		}
		if l.v2 != nil {
			yield(l.v2)
		}
	}
}

// isTop reports whether the mount point is the root of its hierarchy, rather
// than the root of a cgroup namespace or of a bind mount. The kernel offers
// cgroup.sane_behavior only on the root of a v1 hierarchy and cgroup.type only
// below the root of the v2 one (CFTYPE_ONLY_ON_ROOT, CFTYPE_NOT_ON_ROOT).
func (h *hierarchy) isTop() (bool, error) {
	marker := "cgroup.sane_behavior"
	if h.v2 {
		marker = "cgroup.type"
	}
	switch _, err := os.Lstat(filepath.Join(h.dir, marker)); {
	case err == nil:
		return !h.v2, nil
	case errors.Is(err, fs.ErrNotExist):
		return h.v2, nil
	default:
		return false, err
	}
}

// locate returns where the cgroup with the given path lies below h.dir: "." or
// "a/b". It refuses a path that the mount does not show.
func (h *hierarchy) locate(path string) (string, error) {
	if !strings.HasPrefix(path, "/") || slices.Contains(strings.Split(path, "/"), "..") {
		return "", fmt.Errorf("cgroup path %q lies outside the mounted tree", path)
	}
	rel, err := filepath.Rel(h.base, path)
	if err != nil || rel == ".." || strings.HasPrefix(rel, "../") {
		return "", fmt.Errorf("cgroup path %q lies outside the mounted tree %s", path, h.base)
	}
	return rel, nil
}
