package daemon

import (
	"errors"
	"fmt"
	"slices"

	"cloister/emul"
	"cloister/fs"
	"cloister/internal/api"
	"cloister/internal/sys"
)

// maxNested is how many views of cgroups below its own a container may have: each
// takes one of the host's slots.
const maxNested = 256

var errTooManyNested = fmt.Errorf("the container has %d views of cgroups below its own, which is the most", maxNested)

// nest makes views of a cgroup below that of a running container. Its limits are
// those of the cgroup and of all above it, the container's among them. The machine that
// they show is the container's, and their owner the container's root.
func (r *registry) nest(key string, n api.Nested) (*api.Views, error) {
	c, err := r.get(key)
	if err != nil {
		return nil, err
	}
	workshop, err := r.workshop(0) // which may have to be waited for: not with a lock
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	slot, err := r.nestLocked(c, nested{Nested: n})
	if err != nil {
		return nil, err
	}
	return &api.Views{Key: slot.String(), Views: r.views.attachable(slot), IDs: c.IDs, Workshop: workshop}, nil
}

// nestLocked does its work. Preconditions: c.mu is held.
func (r *registry) nestLocked(c *container, n nested) (fs.Slot, error) {
	switch {
	case c.phase != running:
		return fs.Slot{}, fmt.Errorf("container %s is %v: %w", c.ID, c.phase, errConflict)
	case len(c.Nested) >= maxNested:
		return fs.Slot{}, errTooManyNested
	case n.PID <= 0:
		return fs.Slot{}, fmt.Errorf("%w: views need a process whose start they count from", errBadRequest)
	case !r.views.layout.Below(c.Cgroups, n.Cgroups):
		return fs.Slot{}, fmt.Errorf("%w: cgroup %v is not below that of container %s", errBadRequest, n.Cgroups, c.ID)
	}
	if err := r.inside(c, n.PID); err != nil {
		return fs.Slot{}, err
	}
	slot, err := r.takeSlot()
	if err != nil {
		return fs.Slot{}, err
	}
	n.Slot = slot
	c.Nested = append(c.Nested, n)
	err = r.showNested(c, &n)
	if err == nil {
		err = r.store.put(&c.record) // a successor goes on with them
	}
	if err != nil {
		r.dropOne(c, slot)
		return fs.Slot{}, fmt.Errorf("views of cgroup %v: %w", n.Cgroups, err)
	}
	return slot, nil
}

// inside refuses a process that is not the container's: its number may be another's by
// now, whose start and process ids the views would tell.
func (r *registry) inside(c *container, pid int) error {
	paths, err := r.views.layout.PathsOf(pid)
	if err != nil {
		return fmt.Errorf("cgroup of process %d: %w", pid, err)
	}
	if !r.views.layout.Below(c.Cgroups, paths) {
		return fmt.Errorf("%w: process %d is not in container %s", errBadRequest, pid, c.ID)
	}
	return nil
}

// unnest takes views back.
func (r *registry) unnest(key, nested string) error {
	slot, err := fs.ParseSlot(nested)
	if err != nil {
		return fmt.Errorf("%w: %w", errBadRequest, err)
	}
	c, err := r.get(key)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.dropOne(c, slot) {
		return r.store.put(&c.record)
	}
	return nil
}

// nested are views of a cgroup below the container's.
type nested struct {
	Slot fs.Slot `json:"slot"`
	api.Nested
	// Init is the first process of an inner container, whose end is that of the views, and
	// PIDNamespace the one that it has begun. Both are zero for views that were asked for
	// on the control socket.
	Init         process    `json:"init,omitzero"`
	PIDNamespace sys.FileID `json:"pidNamespace,omitzero"`
}

// showNested makes their files appear. Preconditions: c.mu is held.
func (r *registry) showNested(c *container, n *nested) error {
	cfg := emul.ContainerConfig{ID: c.ID, Start: n.Slot.String(), PID: n.PID}
	if err := r.views.add(n.Slot, c.owner(), n.Cgroups, cfg); err != nil {
		return err
	}
	if n.Init.PID == 0 {
		return nil
	}
	r.pidSpaces.nest(c.key(), n.PIDNamespace, n.Slot)
	return r.watchInner(c, n)
}

// resumeNested goes on with those of a predecessor. Who has asked for what is gone asks
// again. Preconditions: c.mu is held.
func (r *registry) resumeNested(c *container) {
	for _, n := range slices.Clone(c.Nested) {
		r.mu.Lock()
		ok := r.slots.claim(n.Slot.Index)
		r.mu.Unlock()
		err := errNoSlot
		if ok {
			err = r.showNested(c, &n)
		}
		switch {
		case err == nil:
			continue
		case ok:
			r.dropOne(c, n.Slot)
		default: // the slot is somebody else's
			c.Nested = slices.DeleteFunc(c.Nested, func(m nested) bool { return m.Slot == n.Slot })
		}
		if !errors.Is(err, errEnded) {
			r.log.Warn().Str("cid", c.ID).Err(err).Msg("views of a cgroup below the container's are gone")
		}
	}
}

// dropNested takes all of them back. Preconditions: c.mu is held.
func (r *registry) dropNested(c *container) {
	for _, n := range slices.Clone(c.Nested) {
		r.dropOne(c, n.Slot)
	}
}

// dropOne reports whether there were such views.
func (r *registry) dropOne(c *container, slot fs.Slot) bool {
	i := slices.IndexFunc(c.Nested, func(n nested) bool { return n.Slot == slot })
	if i < 0 {
		return false
	}
	c.Nested = slices.Delete(c.Nested, i, i+1)
	r.pidSpaces.unnest(c.key(), slot)
	r.views.remove(slot)
	r.freeSlot(slot)
	return true
}

// takeSlot takes a slot for views that have no registration of their own.
func (r *registry) takeSlot() (fs.Slot, error) {
	generation, err := r.store.nextGeneration()
	if err != nil {
		return fs.Slot{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	index, err := r.slots.take()
	return fs.Slot{Index: index, Generation: generation}, err
}

func (r *registry) freeSlot(slot fs.Slot) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.slots.free(slot.Index)
}
