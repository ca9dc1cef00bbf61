package daemon

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"

	"cloister/runtimehook/attach"
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
	for _, rec := range records {
		if err := r.adoptOne(rec); err != nil {
			r.log.Error().Str("cid", rec.ID).Str("key", rec.key()).Err(err).Msg("container can't be adopted")
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
	c.undo = append(c.undo,
		func() error { r.forget(c); return nil },
		func() error { return r.store.remove(&c.record) },
		func() error { return removeDir(r.dir(c)) })
	if c.BootID != r.bootID {
		return r.releaseLocked(c)
	}
	if alive, err := r.alive(c); err != nil || !alive {
		return errors.Join(err, r.releaseLocked(c))
	}
	if c.IDs.Size != 0 {
		if err := r.claim(c); err != nil {
			return err // it runs, so it stays known
		}
	}
	if !c.Attached {
		if c.Init.PID == 0 {
			return r.watchCreator(c)
		}
		return r.watchInit(c)
	}
	c.phase = running
	if err := r.watchInit(c); err != nil {
		return err
	}
	if err := r.show(c); err != nil {
		return err
	}
	return r.reattach(c)
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

// reattach replaces the views of a daemon that is gone, which no longer answer, by
// new ones. Preconditions: c.mu is held.
func (r *registry) reattach(c *container) error {
	init, err := c.Init.open()
	if err != nil {
		return err
	}
	defer init.Close()
	v := attach.Views{DaemonPID: os.Getpid(), Dir: r.views.path(c.Slot), Files: c.Views, Root: "/"}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlock: the thread ends in the container's mount namespace
		files, err := attach.Reattach(init, v)
		if err == nil && len(files) < len(c.Views) {
			err = fmt.Errorf("only %v of %v could be attached again", files, c.Views)
		}
		done <- err
	}()
	return <-done
}
