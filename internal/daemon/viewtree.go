package daemon

import (
	"errors"
	"os"
	"path/filepath"

	"cloister/cgroupview"
	"cloister/emul"
	"cloister/fs"
)

// viewTree is one file system with view files: those that are only read, or those
// that can be written to.
type viewTree struct {
	views    *views
	writable bool
	dir      string
	server   *fs.Server
	files    []fs.File
	ids      []emul.FileID // of files
	paths    []string      // of the views that containers get
}

var (
	_ fs.Content = (*viewTree)(nil)
	_ fs.Writer  = (*viewTree)(nil)
)

// newViewTree lists the files of the kind. Those that this kernel doesn't have, or that
// can't be made sense of, keep their place and are hidden; the log tells of the latter.
func newViewTree(v *views, writable bool, enabled func(path string) bool) *viewTree {
	t := &viewTree{views: v, writable: writable}
	all := emul.Files()
	for _, view := range emul.Views() {
		if view.Writable != writable {
			continue
		}
		some := false
		for _, id := range view.Files {
			ok, err := v.host.Supported(id)
			if err != nil {
				v.log.Warn().Str("path", "/"+all[id].Path).Err(err).Msg("no view of this file")
			}
			t.files = append(t.files, fs.File{Path: all[id].Path, Mode: all[id].Mode, Dir: all[id].Dir, Hidden: !ok})
			t.ids = append(t.ids, id)
			some = some || ok
		}
		if some && enabled(view.Path) {
			t.paths = append(t.paths, view.Path)
		}
	}
	return t
}

// mount mounts the tree in a directory of its own below dir.
func (t *viewTree) mount(dir string) (err error) {
	name := "read-only"
	if t.writable {
		name = "writable"
	}
	t.dir = filepath.Join(dir, name)
	// A predecessor that was killed has left a mount that nobody answers for.
	if err := fs.CleanStale(t.dir); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	// Only root has business here: see rootMode in fs.
	if err := os.MkdirAll(t.dir, 0o700); err != nil {
		return err
	}
	if err := os.Chmod(dir, 0o700); err != nil { // it may be there from before
		return err
	}
	opts := fs.Options{Panicked: t.views.panicked}
	if t.writable {
		opts.Writer = t
	}
	t.server, err = fs.Mount(t.dir, t.files, t, opts)
	return err
}

// close unmounts the tree.
func (t *viewTree) close() error {
	return errors.Join(t.server.Close(), os.Remove(t.dir))
}

// Render implements fs.Content.
func (t *viewTree) Render(dst []byte, slot fs.Slot, ref fs.Ref) ([]byte, error) {
	c, err := t.views.container(slot)
	if err != nil {
		return dst, err
	}
	out, err := c.Render(dst, t.ids[ref.File], ref.Member)
	t.failed(slot, ref.File, err)
	return out, err
}

// Members implements fs.Content.
func (t *viewTree) Members(slot fs.Slot, file int) ([]int, error) {
	c, err := t.views.container(slot)
	if err != nil {
		return nil, err
	}
	members, err := c.Members(t.ids[file])
	t.failed(slot, file, err)
	return members, err
}

// Write implements fs.Writer.
func (t *viewTree) Write(slot fs.Slot, ref fs.Ref, data []byte, fired func()) (fs.Watch, error) {
	c, err := t.views.container(slot)
	if err != nil {
		return nil, err
	}
	trigger, err := c.Write(t.ids[ref.File], data, fired)
	if err != nil {
		return nil, err // not nil as an interface
	}
	return trigger, nil
}

// failed reports an error that is the host's fault rather than the order of things.
func (t *viewTree) failed(slot fs.Slot, file int, err error) {
	for _, expected := range []error{nil, cgroupview.ErrGone, emul.ErrNoMember, emul.ErrNoPressure} {
		if errors.Is(err, expected) {
			return
		}
	}
	t.views.log.Error().Stringer("slot", slot).Str("path", t.files[file].Path).Err(err).Msg("render failed")
}
