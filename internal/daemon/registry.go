package daemon

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"cloister/fs"
	"cloister/internal/api"
	"cloister/internal/sealed"
	"cloister/internal/sys"
	"cloister/runtimehook/engine"
	"cloister/runtimehook/idrange"
	"cloister/runtimehook/stage"
)

// Errors that the control socket tells apart.
var (
	errNotFound = errors.New("no such container")
	errConflict = errors.New("container exists")
)

// registry holds the containers.
type registry struct {
	log      zerolog.Logger
	runDir   string
	bootID   string
	store    *store
	ids      *idrange.Allocator
	peers    *peers
	views    *views
	exits    *sys.ExitWatcher
	workshop func(gone int) (sealed.Address, error) // where mounts are sealed; see mounter.Mounter
	unmount  func(key string)                       // has the mounter forget what it keeps for a container
	trash    *trash
	runtimes *runtimes

	background *background  // attaches views again
	unattached atomic.Int32 // how many containers wait for that, and whether adopt has begun and not ended
	saver      *saver
	pidSpaces  pidSpaces

	registrations atomic.Uint64 // that succeeded

	mu         sync.Mutex
	containers map[string]*container // by key, guarded by mu
	slots      slotSet               // guarded by mu
	closed     bool                  // guarded by mu
}

// container is one registered container.
type container struct {
	// mu serialises the steps of this container's life, with the I/O that belongs
	// to them. It is never taken while that of another container is held.
	mu sync.Mutex
	record
	phase phase
	undo  []func() error // what release has to give back, last first; guarded by mu
	// outdated tells that the prestart hook may attach views that are served no more:
	// those of before the container was adopted. Guarded by mu.
	outdated bool
}

// phase is how far a container has come.
type phase int

const (
	creating phase = iota // registered, its runtime is at work
	starting              // the prestart hook is at work
	running
	released
)

func (p phase) String() string {
	return [...]string{"creating", "starting", "running", "released"}[p]
}

// register admits a container that is about to be created.
func (r *registry) register(reg api.Registration) (*api.Grant, error) {
	if reg.ID == "" || reg.PID <= 0 {
		return nil, errors.New("a registration needs an id and a process")
	}
	creator, err := identify(reg.PID)
	if err != nil {
		return nil, err
	}
	rt, err := r.runtimes.probe(reg.Runtime)
	if err != nil {
		return nil, err
	}
	if grant := r.granted(&reg, creator, rt); grant != nil {
		return grant, nil
	}
	owner, err := r.ownerOf(&reg)
	if err != nil {
		return nil, err
	}
	c, err := r.reserve(reg, creator)
	if err != nil {
		return nil, err
	}
	defer c.mu.Unlock()
	if err := r.admit(c, owner); err != nil {
		return nil, errors.Join(err, r.releaseLocked(c))
	}
	r.registrations.Add(1)
	r.log.Info().Str("cid", c.ID).Str("key", c.key()).Stringer("ids", c.IDs).Str("engine", c.Engine).Msg("container registered")
	return r.grant(c, rt), nil
}

func (r *registry) grant(c *container, rt api.Runtime) *api.Grant {
	return &api.Grant{Key: c.key(), Dir: r.dir(c), VolumesDir: r.volumesDir(c), IDs: c.IDs, OwnerPID: c.OwnerPID, Runtime: rt}
}

// granted returns what the same process was granted for the same container: the answer
// of a daemon that was killed may not have reached it.
func (r *registry) granted(reg *api.Registration, creator process, rt api.Runtime) *api.Grant {
	r.mu.Lock()
	c := r.byRuntimeID(reg.RuntimeRoot, reg.ID)
	r.mu.Unlock()
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase != creating || c.Creator != creator || c.Bundle != reg.Bundle {
		return nil
	}
	if err := makeDir(r.dir(c), c.IDs); err != nil {
		return nil
	}
	return r.grant(c, rt)
}

// reserve takes a slot for a container whose id is free. creator is the process
// that becomes its runtime, if that is known. The container comes with its lock held:
// nobody may release it before it is admitted.
func (r *registry) reserve(reg api.Registration, creator process) (*container, error) {
	generation, err := r.store.nextGeneration()
	if err != nil {
		return nil, err
	}
	if err := r.evictEnded(reg.RuntimeRoot, reg.ID); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, errors.New("the daemon is stopping")
	}
	if c := r.byRuntimeID(reg.RuntimeRoot, reg.ID); c != nil {
		return nil, fmt.Errorf("container %s: %w", reg.ID, errConflict)
	}
	index, err := r.slots.take()
	if err != nil {
		return nil, err
	}
	c := &container{record: record{
		Registration: reg,
		Slot:         fs.Slot{Index: index, Generation: generation},
		BootID:       r.bootID,
		Creator:      creator,
		CreatedAt:    time.Now().UTC(),
	}}
	c.undo = append(c.undo, func() error { r.forget(c); return nil })
	c.mu.Lock()
	r.containers[c.key()] = c
	return c, nil
}

// evictEnded releases a container of the same id whose processes are gone but
// whose end has not been handled yet.
func (r *registry) evictEnded(root, id string) error {
	r.mu.Lock()
	c := r.byRuntimeID(root, id)
	r.mu.Unlock()
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.alive(c) {
		return nil
	}
	return r.releaseLocked(c)
}

// byRuntimeID finds a container by the names that its runtime knows it by.
// Preconditions: r.mu is held.
func (r *registry) byRuntimeID(root, id string) *container {
	for _, c := range r.containers {
		if c.ID == id && c.RuntimeRoot == root {
			return c
		}
	}
	return nil
}

func (r *registry) forget(c *container) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.containers, c.key())
	r.slots.free(c.Slot.Index)
}

// admit gives a container its ids and its directory, and writes its record.
// Preconditions: c.mu is held.
func (r *registry) admit(c *container, owner *record) error {
	unlock, err := r.peers.lock()
	if err != nil {
		return err
	}
	err = r.giveIDs(c, owner)
	if err == nil {
		err = r.save(c)
	}
	if err := errors.Join(err, unlock()); err != nil {
		return err
	}
	if err := makeDir(r.dir(c), c.IDs); err != nil {
		return err
	}
	c.undo = append(c.undo, func() error { return r.discardDir(c) })
	return r.watchCreator(c)
}

func (r *registry) save(c *container) error {
	if err := r.store.put(&c.record); err != nil {
		return err
	}
	c.undo = append(c.undo, func() error { return r.store.remove(&c.record) })
	return nil
}

// all returns the containers in the order of their registration.
func (r *registry) all() []*container {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]*container, 0, len(r.containers))
	for _, c := range r.containers {
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b *container) int { return int(a.Slot.Generation) - int(b.Slot.Generation) })
	return out
}

// count returns how many containers there are. Other than all that looks into
// them, it waits for none of them.
func (r *registry) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.containers)
}

func (r *registry) get(key string) (*container, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c := r.containers[key]; c != nil {
		return c, nil
	}
	return nil, fmt.Errorf("%s: %w", key, errNotFound)
}

// find looks for a container by key, id, name or the beginning of its id, in this
// order: a name is chosen freely, and must not hide the container whose key or id
// it repeats.
func (r *registry) find(name string) (*container, error) {
	all := r.all()
	for _, is := range []func(*container) bool{
		func(c *container) bool { return c.key() == name },
		func(c *container) bool { return c.ID == name },
		func(c *container) bool { return c.Name == name },
	} {
		if i := slices.IndexFunc(all, is); i >= 0 {
			return all[i], nil
		}
	}
	byPrefix := slices.DeleteFunc(all, func(c *container) bool { return !strings.HasPrefix(c.ID, name) })
	switch len(byPrefix) {
	case 0:
		return nil, fmt.Errorf("%s: %w; `cloister ps` lists them", name, errNotFound)
	case 1:
		return byPrefix[0], nil
	}
	return nil, fmt.Errorf("%s: matches %d containers: %w", name, len(byPrefix), errConflict)
}

// dir returns the container's directory: its key below the containers' directory.
func (r *registry) dir(c *container) string { return filepath.Join(containersDir(r.runDir), c.key()) }

// volumesDir returns where the container's volumes are that end with its registration.
func (r *registry) volumesDir(c *container) string { return filepath.Join(r.trash.volumes, c.key()) }

func containersDir(runDir string) string { return filepath.Join(runDir, "containers") }

// releaseLocked gives back what a container has, once none of its processes is left.
// Preconditions: c.mu is held.
func (r *registry) releaseLocked(c *container) error {
	if c.phase == released {
		return nil
	}
	c.phase = released
	var errs []error
	if c.UpperDir != "" {
		errs = append(errs, stage.RemoveWorkDir(stage.WorkDir(c.UpperDir, c.key())))
	}
	if c.Nesting {
		errs = append(errs, r.trash.add(r.volumesDir(c), c.key()+"-volumes"))
	}
	if c.Engine == engine.Cloister {
		errs = append(errs, r.trash.add(c.Bundle, c.key()))
		r.deleteFromRuntime(c)
	}
	for _, undo := range slices.Backward(c.undo) {
		errs = append(errs, undo())
	}
	c.undo = nil
	r.removeCgroupsLater(c, cgroupTries)
	err := briefly(errors.Join(errs...))
	r.log.Info().Str("cid", c.ID).Str("key", c.key()).Err(err).Msg("container released")
	return err
}

func (r *registry) isClosed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.closed
}

// close saves what must go on after a restart. The containers stay as they are.
func (r *registry) close() error {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.background.close()
	r.saver.close()
	errs := []error{r.exits.Close()}
	r.trash.close()
	for _, c := range r.all() {
		errs = append(errs, r.saveState(c))
	}
	return errors.Join(errs...)
}
