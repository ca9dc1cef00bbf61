package daemon

import (
	"errors"
	"fmt"
	"slices"

	"cloister/emul"
	"cloister/fs"
	"cloister/internal/api"
	"cloister/internal/sealed"
	"cloister/runtimehook/idrange"
)

// start handles the prestart hook: it makes sure that the container's ids are what
// was promised, and prepares its views. From now on the container's life is that of
// its init.
func (r *registry) start(s api.Start) (*api.Views, error) {
	workshop, err := r.workshop(s.Gone) // which may have to be waited for: not with a lock
	if err != nil {
		return nil, err
	}
	c, err := r.starting(s)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.phase == running && c.Init.PID == s.PID:
		v := r.answer(c, workshop)
		v.Attached = true
		return v, nil
	case c.phase == starting && c.Init.PID == s.PID: // asked again
		c.outdated = false
		return r.answer(c, workshop), nil
	case c.phase != creating:
		return nil, fmt.Errorf("container %s is %v: %w", c.ID, c.phase, errConflict)
	}
	err = r.prepare(c, s.PID)
	if err == nil {
		err = r.store.put(&c.record) // a successor goes on from here
	}
	if err != nil {
		if c.Creator.PID == 0 { // no creator whose end would release it
			err = errors.Join(err, r.releaseLocked(c))
		}
		return nil, err
	}
	c.phase = starting
	return r.answer(c, workshop), nil
}

// answer tells the hook what it needs.
func (r *registry) answer(c *container, workshop sealed.Address) *api.Views {
	return &api.Views{
		Key: c.key(), Views: r.views.attachable(c.Slot),
		IDs: c.IDs, StageDir: r.dir(c), Workshop: workshop,
	}
}

// starting finds the container of a prestart hook: by the key that the wrapper put
// into the hook, by its id where the hook comes from an engine's own list of hooks,
// or, if it did not come through the wrapper at all, makes a registration for it.
func (r *registry) starting(s api.Start) (*container, error) {
	if s.Key != "" {
		c, err := r.get(s.Key)
		if err != nil {
			return nil, err
		}
		if c.ID != s.ID {
			return nil, fmt.Errorf("registration %s is of container %s, not of %s", s.Key, c.ID, s.ID)
		}
		return c, nil
	}
	for _, c := range r.all() {
		if c.ID == s.ID && c.Bundle == s.Bundle {
			return c, nil
		}
	}
	return r.registerUnannounced(s)
}

// registerUnannounced admits a container that its engine isolates itself and that
// only has our hook.
func (r *registry) registerUnannounced(s api.Start) (*container, error) {
	namespace, err := userNamespaceOf(s.PID)
	if err != nil {
		return nil, err
	}
	owner := r.runningIn(namespace)
	c, err := r.reserve(api.Registration{
		ID: s.ID, Name: s.Name, Engine: s.Engine, Bundle: s.Bundle, EngineIDs: &idrange.Range{}, Nesting: s.Nesting,
	}, process{})
	if err != nil {
		return nil, err
	}
	defer c.mu.Unlock()
	c.undo = append(c.undo, func() error { return r.store.remove(&c.record) })
	if err := r.giveIDs(c, owner); err != nil {
		return nil, errors.Join(err, r.releaseLocked(c))
	}
	r.registrations.Add(1)
	return c, nil
}

// prepare opens what the views need. Preconditions: c.mu is held.
func (r *registry) prepare(c *container, pid int) (err error) {
	if c.Init, err = identify(pid); err != nil {
		return err
	}
	first, err := startsPIDNamespace(pid)
	if err != nil {
		return err
	}
	c.SharedPIDs = !first
	if err := r.verifyIDs(c); err != nil {
		return err
	}
	if c.Cgroups, err = r.views.layout.PathsOf(pid); err != nil {
		return err
	}
	if err := r.delegate(c); err != nil {
		return err
	}
	if err := r.show(c); err != nil {
		return err
	}
	if err := r.watchInit(c); err != nil {
		return errors.Join(err, c.undoLast()) // the slot has to be free for another try
	}
	return nil
}

// undoLast takes back the last step of the container's life alone.
func (c *container) undoLast() error {
	last := len(c.undo) - 1
	undo := c.undo[last]
	c.undo = c.undo[:last]
	return undo()
}

// verifyIDs compares the container's ids with the promised ones, or claims those
// that its engine has given it.
func (r *registry) verifyIDs(c *container) error {
	if !c.ForeignIDs {
		return verifyMaps(c.Init.PID, c.IDs)
	}
	ids, err := engineRange(c.Init.PID)
	if err != nil {
		return err
	}
	if c.IDs.Size != 0 {
		if ids != c.IDs {
			return fmt.Errorf("the container's ids are %v, its config said %v", ids, c.IDs)
		}
		return nil
	}
	c.IDs = ids
	if err := r.claim(c); err != nil {
		c.IDs = idrange.Range{} // they are somebody else's
		return err
	}
	return nil
}

// show makes the container's view files appear.
func (r *registry) show(c *container) error {
	cfg := emul.ContainerConfig{
		ID: c.ID, Start: c.key(), PID: c.Init.PID, State: c.State, LimitsChanged: func() { r.saver.soon(c) },
	}
	if err := r.views.add(c.Slot, c.owner(), c.Cgroups, cfg); err != nil {
		return fmt.Errorf("views of container %s: %w", c.ID, err)
	}
	if err := r.pidSpaces.add(c.key(), c.Slot, c.Init.PID); err != nil {
		r.views.remove(c.Slot)
		return fmt.Errorf("pid namespace of container %s: %w", c.ID, err)
	}
	c.undo = append(c.undo, func() error {
		r.dropNested(c)
		r.pidSpaces.remove(c.key())
		r.views.remove(c.Slot)
		go r.unmount(c.key()) // which may have to wait
		return nil
	})
	return nil
}

// attached handles the end of the prestart hook.
func (r *registry) attached(key string, a api.Attached) error {
	c, err := r.get(key)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase == running && slices.Equal(c.Views, a.Views) { // said again
		return nil
	}
	if c.phase != starting {
		return fmt.Errorf("container %s is %v: %w", c.ID, c.phase, errConflict)
	}
	if c.outdated {
		return fmt.Errorf("container %s has views of before the daemon was restarted, start it again: %w", c.ID, errConflict)
	}
	c.Views, c.Plan, c.Attached = a.Views, &a.Plan, true
	c.ProcReadOnly, c.SysReadOnly = a.ProcReadOnly, a.SysReadOnly
	if err := r.store.put(&c.record); err != nil {
		return err
	}
	c.phase = running
	r.log.Info().Str("cid", c.ID).Str("key", key).Int("pid", c.Init.PID).Int("views", len(a.Views)).Msg("container starts")
	return nil
}

// owner returns whom the container's files belong to.
func (c *container) owner() fs.Owner { return fs.Owner{UID: c.IDs.Start, GID: c.IDs.Start} }
