package daemon

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// adopt takes over the containers that the daemon knew before it was restarted.
// What is left of those that ended meanwhile is cleaned up.
func (r *registry) adopt() error {
	records, unreadable, err := r.store.load()
	if err != nil {
		return err
	}
	for _, err := range unreadable {
		r.log.Error().Err(err).Msg("state of a container can't be read, it is left alone")
	}
	// Oldest first: the owner of shared ids before those who share them.
	slices.SortFunc(records, func(a, b *record) int { return cmp.Compare(a.Slot.Generation, b.Slot.Generation) })
	if !r.views.attached {
		r.unattached.Add(1)
		defer r.reattached()
	}
	for _, rec := range records {
		if err := r.adoptOne(rec); err != nil {
			r.log.Error().Str("cid", rec.ID).Str("key", rec.key()).Err(err).Msg("container not fully adopted")
		}
	}
	return nil
}

func (r *registry) adoptOne(rec *record) error {
	c := &container{record: *rec}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !r.insert(c) {
		return fmt.Errorf("slot %d is taken", c.Slot.Index)
	}
	c.undo = append(c.undo, func() error { r.forget(c); return nil })
	alive := c.BootID == r.bootID && r.alive(c)
	var err error
	if alive && c.IDs.Size != 0 {
		err = r.claim(c) // it runs, so it stays known without them
	}
	c.undo = append(c.undo,
		func() error { return r.store.remove(&c.record) },
		func() error { return r.discardDir(c) })
	if !alive {
		return errors.Join(err, r.releaseLocked(c))
	}
	return errors.Join(err, r.resume(c))
}

func (r *registry) insert(c *container) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.slots.claim(c.Slot.Index) {
		return false
	}
	r.containers[c.key()] = c
	return true
}

// resume waits for the end of a container that is adopted, and gives it views
// again. Preconditions: c.mu is held.
func (r *registry) resume(c *container) error {
	switch {
	case c.Attached:
		c.phase = running
	case c.Init.PID != 0: // its hook is at work, or was
		c.phase = starting
	}
	err := r.follow(c)
	if c.phase != running && c.phase != starting || !c.Init.running() {
		return err
	}
	if shown := r.show(c); shown != nil {
		return errors.Join(err, shown)
	}
	r.resumeNested(c)
	switch {
	case r.views.attached:
	case c.phase == starting:
		c.outdated = true
	default:
		r.reattach(c)
	}
	return err
}

// reattached counts down what adopt begins.
func (r *registry) reattached() {
	if r.unattached.Add(-1) == 0 {
		r.views.allAttached()
	}
}

// follow watches an adopted container, whatever happened to it while nobody did. If
// that fails, it tries again later: the container's end must not go unnoticed.
// Preconditions: c.mu is held.
func (r *registry) follow(c *container) error {
	watch, ended := r.watchCreator, r.creatorEndedLocked
	if c.phase == running || c.phase == starting {
		watch, ended = r.watchInit, r.initEndedLocked
	}
	err := watch(c)
	if errors.Is(err, errEnded) {
		return ended(c)
	}
	if err != nil {
		r.later(c, r.follow)
	}
	return err
}
