package daemon

import (
	"errors"
	"fmt"
	"os"

	"cloister/internal/api"
	"cloister/internal/sys"
	"cloister/runtimehook/engine"
	"cloister/runtimehook/idrange"
)

// errForeignNamespaces says that a container can't share what it wants to share.
var errForeignNamespaces = errors.New("the namespaces to share belong to a user namespace that is not one of cloister's containers'")

// giveIDs chooses a container's range: that of the container whose user namespace
// it joins (owner), the one that its engine has chosen, or a new one.
// Preconditions: c.mu is held.
func (r *registry) giveIDs(c *container, owner *record) (err error) {
	switch {
	case owner != nil:
		c.IDs, c.OwnerPID, c.ForeignIDs = owner.IDs, owner.Init.PID, owner.ForeignIDs
		err = r.ids.Share(c.IDs)
	case c.EngineIDs != nil:
		c.IDs, c.ForeignIDs = *c.EngineIDs, true
		if c.IDs.Size == 0 {
			return nil // the prestart hook will see them
		}
		return r.claim(c)
	default:
		c.IDs, err = r.ids.Allocate()
	}
	if err != nil {
		return err
	}
	r.freeAtRelease(c)
	return nil
}

func (r *registry) freeAtRelease(c *container) {
	c.undo = append(c.undo, func() error { r.ids.Free(c.IDs); return nil })
}

// claim notes a range that a container has already. It is shared only in one user
// namespace, and by the containers of a dockerd whose userns-remap, which no user of
// docker's can choose, gives all of them the same.
func (r *registry) claim(c *container) error {
	err := r.ids.Claim(c.IDs)
	remapped := c.ForeignIDs && c.Engine == engine.Docker
	if errors.Is(err, idrange.ErrTaken) && (remapped || c.OwnerPID != 0) {
		err = r.ids.Share(c.IDs)
	}
	if err != nil {
		return fmt.Errorf("user ids of container %s: %w", c.ID, err)
	}
	r.freeAtRelease(c)
	return nil
}

// ownerOf finds the running container whose user namespace a registration wants to
// join, nil if it wants none. It takes the locks of containers, so the caller must
// hold none.
func (r *registry) ownerOf(reg *api.Registration) (*record, error) {
	if reg.UserNamespace == nil {
		return nil, nil
	}
	if owner := r.runningIn(*reg.UserNamespace); owner != nil {
		return owner, nil
	}
	return nil, errForeignNamespaces
}

// runningIn finds a running container in a user namespace, nil if there is none.
// Like ownerOf, it takes the locks of containers.
func (r *registry) runningIn(namespace sys.FileID) *record {
	for _, c := range r.all() {
		c.mu.Lock()
		rec, phase := c.record, c.phase
		c.mu.Unlock()
		if phase != starting && phase != running {
			continue
		}
		if id, err := userNamespaceOf(rec.Init.PID); err == nil && id == namespace {
			return &rec
		}
	}
	return nil
}

func userNamespaceOf(pid int) (sys.FileID, error) {
	ns, err := sys.OpenPIDNamespace(pid, "user")
	if errors.Is(err, os.ErrNotExist) {
		return sys.FileID{}, fmt.Errorf("process %d: %w", pid, errEnded)
	}
	if err != nil {
		return sys.FileID{}, err
	}
	return ns.ID(), ns.Close()
}
