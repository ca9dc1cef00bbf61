package daemon

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"cloister/fs"
	"cloister/internal/api"
	"cloister/internal/sealed"
	"cloister/internal/sys"
)

// viewsFor returns the views for a proc of the pid namespace that a thread of a container
// is in, and whose they are. An inner container, which has a pid namespace and a cgroup of
// its own below the container's, gets views of that cgroup until the first process of the
// namespace has ended. All others have the views of what is around them, and so have inner
// containers beyond maxNested.
func (r *registry) viewsFor(key string, tid int) (fs.Slot, []sealed.View, error) {
	slot, err := r.slotFor(key, tid)
	if err != nil {
		return fs.Slot{}, nil, err
	}
	return slot, r.views.attachable(slot), nil
}

func (r *registry) slotFor(key string, tid int) (fs.Slot, error) {
	ns, err := sys.OpenPIDNamespace(tid, "pid")
	if err != nil {
		return fs.Slot{}, err
	}
	defer ns.Close() // only read from
	if slot, ok := r.pidSpaces.exact(key, ns.ID()); ok {
		return slot, nil
	}
	n, err := r.inner(key, tid, ns)
	if err != nil {
		return fs.Slot{}, err
	}
	if n == nil {
		return r.pidSpaces.slotOf(key, tid)
	}
	slot, err := r.nestInner(key, *n)
	if errors.Is(err, errTooManyNested) {
		return r.pidSpaces.slotOf(key, tid)
	}
	return slot, err
}

// inner looks at the inner container that a thread is in, and returns nil if it is in none.
func (r *registry) inner(key string, tid int, ns *sys.Namespace) (*nested, error) {
	c, err := r.get(key)
	if err != nil {
		return nil, err
	}
	cgroups, err := r.views.layout.PathsOf(tid)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	outer := c.Cgroups
	c.mu.Unlock()
	if !r.views.layout.Below(outer, cgroups) || r.views.layout.Below(cgroups, outer) {
		return nil, nil
	}
	pid, err := initOf(ns, tid)
	if err != nil {
		return nil, err
	}
	init, err := identify(pid)
	if err != nil {
		return nil, err
	}
	return &nested{Nested: api.Nested{Cgroups: cgroups, PID: pid}, Init: init, PIDNamespace: ns.ID()}, nil
}

// nestInner makes the views of an inner container, unless somebody has done so meanwhile.
func (r *registry) nestInner(key string, n nested) (fs.Slot, error) {
	c, err := r.get(key)
	if err != nil {
		return fs.Slot{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if slot, ok := r.pidSpaces.exact(key, n.PIDNamespace); ok {
		return slot, nil
	}
	return r.nestLocked(c, n)
}

// watchInner takes the views of an inner container back when its first process ends.
// Preconditions: c.mu is held.
func (r *registry) watchInner(c *container, n *nested) error {
	fd, err := n.Init.open()
	if err != nil {
		return err
	}
	slot := n.Slot
	return r.exits.Watch(fd, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if r.dropOne(c, slot) && c.phase != released && !r.isClosed() {
			r.logError(c, r.store.put(&c.record))
		}
	})
}

// initOf returns the first process of a pid namespace that a thread is in.
func initOf(ns *sys.Namespace, tid int) (int, error) {
	pid, err := ns.Init()
	if errors.Is(err, syscall.ENOTTY) {
		return initAmongAncestors(ns, tid)
	}
	return pid, err
}

// initAmongAncestors does so where the kernel does not tell. It does not find it for a
// thread that has come into the namespace by setns(2).
func initAmongAncestors(ns *sys.Namespace, tid int) (int, error) {
	for range maxAncestors {
		if its, err := pidNamespaceOf(tid); err != nil || its != ns.ID() {
			break
		}
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", tid))
		if err != nil {
			return 0, err
		}
		innermost, err := parseInnermostPID(string(status))
		if err != nil {
			return 0, err
		}
		if innermost == "1" {
			return tid, nil
		}
		if tid, err = parseParent(string(status)); err != nil {
			return 0, err
		}
	}
	return 0, errors.New("the first process of a pid namespace is not among the ancestors of one in it (Linux 6.11 finds it)")
}

// maxAncestors bounds the way to the first process.
const maxAncestors = 1000

// parseParent reads a process's parent, the line PPid (proc_pid_status(5)).
func parseParent(status string) (int, error) {
	for line := range strings.Lines(status) {
		if number, ok := strings.CutPrefix(line, "PPid:"); ok {
			return strconv.Atoi(strings.TrimSpace(number))
		}
	}
	return 0, errors.New("no PPid")
}
