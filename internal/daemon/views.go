package daemon

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"cloister/cgroupview"
	"cloister/emul"
	"cloister/fs"
	"cloister/internal/sealed"
	"cloister/internal/settings"
)

// views joins the renderers to the file systems that serve what they render.
type views struct {
	log    zerolog.Logger // takes a few lines each period: containers cause them
	layout *cgroupview.Layout
	host   *emul.Host
	trees  []*viewTree
	since  time.Time
	left   legacy
	// resumed tells that the trees are those of a predecessor.
	resumed bool
	// attached tells that containers have the views of these trees.
	attached bool
	// adopting tells that there are readers who wait for the containers of a predecessor
	// to be known.
	adopting bool
	ended    chan struct{} // closed when one of the trees is served no more

	memory memory

	mu    sync.RWMutex
	slots map[fs.Slot]*view // guarded by mu
}

// hostRoot is where this host's files are.
const hostRoot cgroupview.Root = "/"

// openViews serves the view files of all containers below dir: it goes on with what a
// predecessor has left, or mounts anew. Files that the settings don't enable, by the path
// of their view, are not attached.
func openViews(dir string, s *settings.Cloister, left legacy, log zerolog.Logger) (_ *views, err error) {
	v := &views{
		log:   log.Sample(&zerolog.BurstSampler{Burst: 10, Period: 10 * time.Second}),
		since: time.Now(),
		left:  left,
		ended: make(chan struct{}),
		slots: map[fs.Slot]*view{},
	}
	if v.layout, err = cgroupview.Detect(hostRoot); err != nil {
		return nil, err
	}
	if v.host, err = emul.NewHost(emul.HostOptions{Root: hostRoot}); err != nil {
		return nil, err
	}
	for _, kind := range treeKinds {
		v.trees = append(v.trees, newViewTree(v, kind, dir, s))
	}
	if v.resumed = v.resume(left); v.resumed {
		v.adopting, v.attached = true, left.has(attachedName)
		return v, nil
	}
	if err := left.forget(attachedName); err != nil {
		return nil, err
	}
	if err := abortOthers(dir); err != nil {
		v.log.Warn().Err(err).Msg("what another version has mounted is left")
	}
	for _, t := range v.trees {
		if err := t.mount(left); err != nil {
			return nil, errors.Join(fmt.Errorf("serve views: %w", err), v.close())
		}
	}
	return v, nil
}

// resume goes on with all trees, or with none.
func (v *views) resume(left legacy) bool {
	for i, t := range v.trees {
		if err := t.resume(left); err != nil {
			if !errors.Is(err, errNothingLeft) {
				v.log.Error().Err(err).Msg("the views of a predecessor can't be served, they are mounted anew")
			}
			for _, t := range v.trees[:i] {
				t.server.Drop()
				t.server = nil
			}
			return false
		}
	}
	return true
}

// attachedName is in the legacy once the containers have the views of the trees there: a
// predecessor that has mounted anew may have been killed before.
const attachedName = "views.attached"

// allAttached tells a successor that containers have the views.
func (v *views) allAttached() {
	if err := v.left.leave(attachedName, v.trees[0].server.Connection().Device); err != nil {
		v.log.Warn().Err(err).Msg("the next daemon will attach the views of containers again")
	}
}

// start begins to serve, once the containers are known.
func (v *views) start() {
	v.adopting = false
	var once sync.Once
	for _, t := range v.trees {
		if v.resumed {
			t.server.Start()
		}
		go func() {
			<-t.server.Done()
			once.Do(func() { close(v.ended) })
		}()
	}
}

func (v *views) panicked(where string, value any, stack []byte) {
	v.log.Error().Str("path", where).Interface("panic", value).Bytes("stack", stack).Msg("render panicked")
}

// add makes the files of a slot appear: those of a cgroup, whose first process is
// cfg.PID. Those of an adopted container are opened later: an error then goes to the log,
// and whoever reads gets one.
func (v *views) add(slot fs.Slot, owner fs.Owner, cgroups cgroupview.Paths, cfg emul.ContainerConfig) error {
	cfg.Changed = func() { v.changed(slot) }
	shown := &view{open: func() (*emul.Container, error) { return v.open(cgroups, cfg) }}
	if !v.adopting {
		if _, err := shown.get(); err != nil {
			return err
		}
	}
	v.mu.Lock()
	v.slots[slot] = shown
	v.memory.changed(len(v.slots))
	v.mu.Unlock()
	for _, t := range v.trees {
		if err := t.server.Add(slot, owner); err != nil {
			v.remove(slot)
			return err
		}
	}
	if v.resumed { // what has changed while nobody looked
		v.changed(slot)
	}
	return nil
}

// open opens the view of a cgroup.
func (v *views) open(cgroups cgroupview.Paths, cfg emul.ContainerConfig) (_ *emul.Container, err error) {
	if cfg.Group, err = v.layout.Open(cgroups); err != nil {
		return nil, err
	}
	if cfg.BootOffset, cfg.TimeNamespace, err = timeOffset(cfg.PID); err != nil {
		cfg.Group.Close()
		return nil, err
	}
	c, err := v.host.NewContainer(cfg)
	if err != nil {
		return nil, err
	}
	if err := c.Unwatched(); err != nil {
		v.log.Warn().Str("cid", cfg.ID).Err(err).Msg("limits that change may show a second late in files that the kernel keeps")
	}
	return c, nil
}

// changed has the kernel know a slot's stable files as they are now.
func (v *views) changed(slot fs.Slot) {
	for _, t := range v.trees {
		t.server.Changed(slot)
	}
}

// remove makes the files of a slot disappear.
func (v *views) remove(slot fs.Slot) {
	for _, t := range v.trees {
		t.server.Remove(slot)
	}
	v.mu.Lock()
	shown := v.slots[slot]
	delete(v.slots, slot)
	v.memory.changed(len(v.slots))
	v.mu.Unlock()
	if shown != nil {
		shown.close()
	}
}

// container returns the one that has a slot.
func (v *views) container(slot fs.Slot) (*emul.Container, error) {
	shown := v.view(slot)
	if shown == nil {
		return nil, errNotFound
	}
	c, err := shown.get()
	if err != nil && !gone(err) {
		v.log.Error().Stringer("slot", slot).Err(err).Msg("container of before the restart has no views yet")
	}
	return c, err
}

// opened is container as far as that takes no wait, and returns nil otherwise.
func (v *views) opened(slot fs.Slot) *emul.Container {
	if shown := v.view(slot); shown != nil {
		return shown.opened.Load()
	}
	return nil
}

func (v *views) view(slot fs.Slot) *view {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.slots[slot]
}

// state returns the counters of a slot, nil if it has no views or they have not been
// needed since a restart: the counters are those of before then.
func (v *views) state(slot fs.Slot) *emul.State {
	c := v.opened(slot)
	if c == nil {
		return nil
	}
	s := c.State()
	return &s
}

// path returns where on the host a slot's files are, but for the writable ones.
func (v *views) path(slot fs.Slot) string { return v.trees[0].server.Path(slot) }

// attachable returns the views of a slot that containers get.
func (v *views) attachable(slot fs.Slot) []sealed.View {
	var all []sealed.View
	for _, t := range v.trees {
		for _, path := range t.paths {
			all = append(all, sealed.View{
				Path: path, Source: filepath.Join(t.server.Path(slot), path), Writable: t.kind == writable,
			})
		}
	}
	return all
}

// paths returns the paths of the views that containers get.
func (v *views) paths() []string {
	var all []string
	for _, t := range v.trees {
		all = append(all, t.paths...)
	}
	return all
}

// close unmounts the views; those in containers answer with an error from now on.
func (v *views) close() error {
	defer v.memory.close()
	var err error
	for _, t := range v.trees {
		err = errors.Join(err, t.close())
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for slot, shown := range v.slots {
		shown.close()
		delete(v.slots, slot)
	}
	v.host.Close()
	return err
}
