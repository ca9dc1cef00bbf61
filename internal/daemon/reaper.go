package daemon

import (
	"errors"
	"time"

	"cloister/cgroupview"
)

// recheck is how long the reaper waits before it looks again at a container that it
// is not told about.
const recheck = time.Second

// watchCreator releases the container if the process that makes it ends before the
// prestart hook has come. Preconditions: c.mu is held.
func (r *registry) watchCreator(c *container) error {
	fd, err := c.Creator.open()
	if err != nil {
		return err
	}
	return r.exits.Watch(fd, func() { r.creatorEnded(c) })
}

// creatorEnded is called when the runtime that made the container has ended, which
// is normal once the container runs.
func (r *registry) creatorEnded(c *container) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r.logError(c, r.creatorEndedLocked(c))
}

// creatorEndedLocked does its work. Preconditions: c.mu is held.
func (r *registry) creatorEndedLocked(c *container) error {
	if c.phase != creating {
		return nil
	}
	r.log.Warn().Str("cid", c.ID).Str("key", c.key()).Msg("the runtime ended before the container started")
	return r.releaseLocked(c)
}

// watchInit releases the container when its processes are gone. Preconditions:
// c.mu is held.
func (r *registry) watchInit(c *container) error {
	fd, err := c.Init.open()
	if err != nil {
		return err
	}
	return r.exits.Watch(fd, func() { r.initEnded(c) })
}

// initEnded is called when the container's init has ended. That ends all its
// processes, unless the container shares the pid namespace of another: then they
// are those in its cgroup.
func (r *registry) initEnded(c *container) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase != released && !r.isClosed() {
		r.logError(c, r.initEndedLocked(c))
	}
}

// initEndedLocked does its work. Preconditions: c.mu is held.
func (r *registry) initEndedLocked(c *container) error {
	if c.SharedPIDs && r.populated(c) {
		r.later(c, r.initEndedLocked)
		return nil
	}
	return r.releaseLocked(c)
}

// later calls f after a while, with c.mu held, unless the container was released or
// the daemon stops.
func (r *registry) later(c *container, f func(*container) error) {
	time.AfterFunc(recheck, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.phase != released && !r.isClosed() {
			r.logError(c, f(c))
		}
	})
}

// populated reports whether a process is left in the container's cgroup.
// Preconditions: c.mu is held.
func (r *registry) populated(c *container) bool {
	g, err := r.views.layout.Open(c.Cgroups)
	if err != nil {
		return !gone(err)
	}
	defer g.Close()
	populated, err := g.Populated()
	if err != nil {
		return !gone(err)
	}
	return populated
}

// gone tells that a cgroup was removed, or is none of the container's own.
func gone(err error) bool {
	return errors.Is(err, cgroupview.ErrGone) || errors.Is(err, cgroupview.ErrNoCgroup)
}

// alive reports whether a container still has a process, or will get one.
// Preconditions: c.mu is held.
func (r *registry) alive(c *container) bool {
	switch {
	case c.phase == released:
		return false
	case c.Init.PID != 0:
		return c.Init.running() || c.SharedPIDs && r.populated(c)
	case c.Creator.PID != 0:
		return c.Creator.running()
	}
	return true // its prestart hook is at work
}

// end handles the poststop hook and a wrapper that gives up. A container that
// still runs stays: the end of its processes will release it.
func (r *registry) end(key string) error {
	c, err := r.get(key)
	if errors.Is(err, errNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase != creating && r.alive(c) {
		return nil
	}
	return r.releaseLocked(c)
}

func (r *registry) logError(c *container, err error) {
	if err != nil {
		r.log.Error().Str("cid", c.ID).Str("key", c.key()).Err(err).Msg("end of a container not fully handled")
	}
}
