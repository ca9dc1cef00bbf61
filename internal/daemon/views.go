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
	"cloister/runtimehook/attach"
)

// views joins the renderers to the file systems that serve what they render.
type views struct {
	log    zerolog.Logger // takes a few lines each period: containers cause them
	layout *cgroupview.Layout
	host   *emul.Host
	trees  []*viewTree
	ended  chan struct{} // closed when one of the trees is served no more

	mu    sync.RWMutex
	slots map[fs.Slot]*emul.Container // guarded by mu
}

// hostRoot is where this host's files are.
const hostRoot cgroupview.Root = "/"

// openViews mounts the view files of all containers below dir. Files that are not in
// enabled, by the path of their view, are not attached.
func openViews(dir string, enabled func(path string) bool, log zerolog.Logger) (_ *views, err error) {
	v := &views{
		log:   log.Sample(&zerolog.BurstSampler{Burst: 10, Period: 10 * time.Second}),
		ended: make(chan struct{}),
		slots: map[fs.Slot]*emul.Container{},
	}
	if v.layout, err = cgroupview.Detect(hostRoot); err != nil {
		return nil, err
	}
	if v.host, err = emul.NewHost(emul.HostOptions{Root: hostRoot}); err != nil {
		return nil, err
	}
	for _, writable := range []bool{false, true} {
		t := newViewTree(v, writable, enabled)
		if err := t.mount(dir); err != nil {
			return nil, errors.Join(fmt.Errorf("serve views: %w", err), v.close())
		}
		v.trees = append(v.trees, t)
	}
	var once sync.Once
	for _, t := range v.trees {
		go func() {
			<-t.server.Done()
			once.Do(func() { close(v.ended) })
		}()
	}
	return v, nil
}

func (v *views) panicked(where string, value any, stack []byte) {
	v.log.Error().Str("path", where).Interface("panic", value).Bytes("stack", stack).Msg("render panicked")
}

// add makes the files of a slot appear: those of a cgroup, whose first process is
// cfg.PID.
func (v *views) add(slot fs.Slot, owner fs.Owner, cgroups cgroupview.Paths, cfg emul.ContainerConfig) (err error) {
	if cfg.Group, err = v.layout.Open(cgroups); err != nil {
		return err
	}
	if cfg.BootOffset, cfg.TimeNamespace, err = timeOffset(cfg.PID); err != nil {
		cfg.Group.Close()
		return err
	}
	view, err := v.host.NewContainer(cfg)
	if err != nil {
		return err
	}
	v.mu.Lock()
	v.slots[slot] = view
	v.mu.Unlock()
	for _, t := range v.trees {
		if err := t.server.Add(slot, owner); err != nil {
			v.remove(slot)
			return err
		}
	}
	return nil
}

// remove makes the files of a slot disappear.
func (v *views) remove(slot fs.Slot) {
	for _, t := range v.trees {
		t.server.Remove(slot)
	}
	v.mu.Lock()
	view := v.slots[slot]
	delete(v.slots, slot)
	v.mu.Unlock()
	if view != nil {
		view.Close()
	}
}

// container returns the one that has a slot.
func (v *views) container(slot fs.Slot) (*emul.Container, error) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	c := v.slots[slot]
	if c == nil {
		return nil, errNotFound
	}
	return c, nil
}

// state returns the counters of a slot, nil if it has no views.
func (v *views) state(slot fs.Slot) *emul.State {
	v.mu.RLock()
	defer v.mu.RUnlock()
	view := v.slots[slot]
	if view == nil {
		return nil
	}
	s := view.State()
	return &s
}

// path returns where on the host a slot's files are, but for the writable ones.
func (v *views) path(slot fs.Slot) string { return v.trees[0].server.Path(slot) }

// attachable returns the views of a slot that containers get.
func (v *views) attachable(slot fs.Slot) []attach.View {
	var all []attach.View
	for _, t := range v.trees {
		for _, path := range t.paths {
			all = append(all, attach.View{
				Path: path, Source: filepath.Join(t.server.Path(slot), path), Writable: t.writable,
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
	var err error
	for _, t := range v.trees {
		err = errors.Join(err, t.close())
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for slot, view := range v.slots {
		view.Close()
		delete(v.slots, slot)
	}
	v.host.Close()
	return err
}
