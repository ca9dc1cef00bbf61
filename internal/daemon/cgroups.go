package daemon

import (
	"errors"
	"os"
	"time"

	"cloister/runtimehook/lowlevel"
)

// A runtime removes the cgroup that it made for a container when it deletes the
// container. One that was killed before it had written the container down knows of
// nothing to delete, and the cgroup would stay.
const (
	cgroupGrace = time.Second // the runtime's own time to remove it
	cgroupTries = 30
)

// removeCgroupsLater removes a released container's cgroups once they are empty,
// unless somebody else is in charge of them.
func (r *registry) removeCgroupsLater(c *container, tries int) {
	if c.CgroupsPath == "" || tries == 0 {
		return
	}
	time.AfterFunc(cgroupGrace, func() {
		if r.isClosed() || r.isKnown(c) || lowlevel.Knows(c.Runtime, c.RuntimeRoot, c.ID) {
			return
		}
		if left := removeEmpty(r.views.layout.Dirs(r.views.layout.At(c.CgroupsPath))); left {
			r.removeCgroupsLater(c, tries-1)
		}
	})
}

// isKnown reports whether the container was registered again.
func (r *registry) isKnown(c *container) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.byRuntimeID(c.RuntimeRoot, c.ID) != nil
}

// removeEmpty removes cgroups without processes, those below them first, and reports
// whether any is left. A container may have made any number below its own, but no more while
// this is at work: its processes are gone.
func removeEmpty(dirs []string) (left bool) {
	for _, dir := range dirs {
		below, err := cgroupsBelow(dir)
		if err == nil && removeEmpty(below) {
			left = true
		}
		if err := os.Remove(dir); err != nil && !errors.Is(err, os.ErrNotExist) {
			left = true
		}
	}
	return left
}
