package daemon

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"cloister/cgroupview"
	"cloister/emul"
	"cloister/fs"
)

// views joins the renderers to the file system that serves what they render.
type views struct {
	log    zerolog.Logger // takes a few lines each period: containers cause them
	layout *cgroupview.Layout
	host   *emul.Host
	server *fs.Server
	files  []string // paths of the files that this kernel has

	mu    sync.RWMutex
	slots map[fs.Slot]*emul.Container // guarded by mu
}

var _ fs.Content = (*views)(nil)

// hostRoot is where this host's files are.
const hostRoot cgroupview.Root = "/"

// openViews mounts the view files of all containers at dir.
func openViews(dir string, log zerolog.Logger) (_ *views, err error) {
	v := &views{
		log:   log.Sample(&zerolog.BurstSampler{Burst: 10, Period: 10 * time.Second}),
		slots: map[fs.Slot]*emul.Container{},
	}
	if v.layout, err = cgroupview.Detect(hostRoot); err != nil {
		return nil, err
	}
	if v.host, err = emul.NewHost(emul.HostOptions{Root: hostRoot}); err != nil {
		return nil, err
	}
	var tree []fs.File
	for id, f := range emul.Files() {
		tree = append(tree, fs.File{Path: f.Path, Mode: uint32(f.Mode)})
		ok, err := v.host.Supported(emul.FileID(id))
		if err != nil {
			log.Warn().Str("path", "/"+f.Path).Err(err).Msg("view is not attached to containers")
		} else if ok {
			v.files = append(v.files, f.Path)
		}
	}
	if err := v.mount(dir, tree); err != nil {
		v.host.Close()
		return nil, fmt.Errorf("serve views: %w", err)
	}
	return v, nil
}

func (v *views) mount(dir string, tree []fs.File) (err error) {
	// A predecessor that was killed has left a mount that nobody answers for.
	if err := fs.CleanStale(dir); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	// Only root has business here: see rootMode in fs.
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := os.Chmod(dir, 0o700); err != nil { // it may be there from before
		return err
	}
	v.server, err = fs.Mount(dir, tree, v, fs.Options{Panicked: v.panicked})
	return err
}

func (v *views) panicked(where string, value any, stack []byte) {
	v.log.Error().Str("path", where).Interface("panic", value).Bytes("stack", stack).Msg("render panicked")
}

// add makes a container's files appear. Preconditions: c.mu is held.
func (v *views) add(c *container) error {
	group, err := v.layout.Open(c.Cgroups)
	if err != nil {
		return err
	}
	cfg := emul.ContainerConfig{Group: group, PID: c.Init.PID, State: c.State}
	if cfg.BootOffset, cfg.TimeNamespace, err = timeOffset(c.Init.PID); err != nil {
		group.Close()
		return err
	}
	view, err := v.host.NewContainer(cfg)
	if err != nil {
		return err
	}
	v.mu.Lock()
	v.slots[c.Slot] = view
	v.mu.Unlock()
	if err := v.server.Add(c.Slot, c.owner()); err != nil {
		return errors.Join(err, v.remove(c.Slot))
	}
	return nil
}

// remove makes a container's files disappear.
func (v *views) remove(slot fs.Slot) error {
	v.server.Remove(slot)
	v.mu.Lock()
	view := v.slots[slot]
	delete(v.slots, slot)
	v.mu.Unlock()
	if view != nil {
		view.Close()
	}
	return nil
}

// Render implements fs.Content.
func (v *views) Render(dst []byte, slot fs.Slot, file int) ([]byte, error) {
	v.mu.RLock()
	view := v.slots[slot]
	v.mu.RUnlock()
	if view == nil {
		return dst, errNotFound
	}
	out, err := view.Render(dst, emul.FileID(file))
	if err != nil && !errors.Is(err, cgroupview.ErrGone) {
		v.log.Error().Stringer("slot", slot).Str("path", emul.Files()[file].Path).Err(err).Msg("render failed")
	}
	return out, err
}

// state returns a container's counters, nil if it has no views.
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

func (v *views) path(slot fs.Slot) string { return v.server.Path(slot) }

func (v *views) done() <-chan struct{} { return v.server.Done() }

// close unmounts the views; those in containers answer with an error from now on.
func (v *views) close() error {
	err := v.server.Close()
	v.mu.Lock()
	defer v.mu.Unlock()
	for slot, view := range v.slots {
		view.Close()
		delete(v.slots, slot)
	}
	v.host.Close()
	return err
}
