package daemon

import (
	"fmt"

	"cloister/emul"
	"cloister/fs"
	"cloister/internal/api"
)

// maxNested is how many views of cgroups below its own a container may have: each
// takes one of the host's slots.
const maxNested = 256

var errTooManyNested = fmt.Errorf("the container has %d views of cgroups below its own, which is the most", maxNested)

// nest makes views of a cgroup below that of a running container. Its limits are
// those of the cgroup and of all above it, the container's among them. The machine that
// they show is the container's, and their owner the container's root.
//
// They are not kept over a restart of the daemon: whoever asked asks again.
func (r *registry) nest(key string, n api.Nested) (*api.Views, error) {
	c, err := r.get(key)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.phase != running:
		return nil, fmt.Errorf("container %s is %v: %w", c.ID, c.phase, errConflict)
	case len(c.nested) >= maxNested:
		return nil, errTooManyNested
	case n.PID <= 0:
		return nil, fmt.Errorf("%w: views need a process whose start they count from", errBadRequest)
	case !r.views.layout.Below(c.Cgroups, n.Cgroups):
		return nil, fmt.Errorf("%w: cgroup %v is not below that of container %s", errBadRequest, n.Cgroups, c.ID)
	}
	if err := r.inside(c, n.PID); err != nil {
		return nil, err
	}
	slot, err := r.takeSlot()
	if err != nil {
		return nil, err
	}
	cfg := emul.ContainerConfig{ID: c.ID, Start: slot.String(), PID: n.PID}
	if err := r.views.add(slot, c.owner(), n.Cgroups, cfg); err != nil {
		r.freeSlot(slot)
		return nil, fmt.Errorf("views of cgroup %v: %w", n.Cgroups, err)
	}
	if c.nested == nil {
		c.nested = map[fs.Slot]struct{}{}
		c.undo = append(c.undo, func() error { r.dropNested(c); return nil })
	}
	c.nested[slot] = struct{}{}
	return &api.Views{Key: slot.String(), Views: r.views.attachable(slot), IDs: c.IDs}, nil
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
	if _, ok := c.nested[slot]; ok {
		r.dropOne(c, slot)
	}
	return nil
}

// dropNested takes all of them back. Preconditions: c.mu is held.
func (r *registry) dropNested(c *container) {
	for slot := range c.nested {
		r.dropOne(c, slot)
	}
}

func (r *registry) dropOne(c *container, slot fs.Slot) {
	delete(c.nested, slot)
	r.views.remove(slot)
	r.freeSlot(slot)
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
