package daemon

import (
	"errors"
	"os"
	"path/filepath"
	"slices"

	"cloister/cgroupview"
	"cloister/emul"
	"cloister/fs"
	"cloister/internal/settings"
)

// treeKind is how the files of a tree are served.
type treeKind string

const (
	exact    treeKind = "exact"    // what each open file shows is of that moment
	pushed   treeKind = "pushed"   // the kernel keeps the files until they change
	writable treeKind = "writable" // can be written to
)

var treeKinds = []treeKind{exact, pushed, writable}

func kindOf(view emul.View) treeKind {
	switch {
	case view.Writable:
		return writable
	case view.Pushed:
		return pushed
	}
	return exact
}

// viewTree is one file system with view files of a kind.
type viewTree struct {
	views  *views
	kind   treeKind
	dir    string
	opts   fs.Options
	server *fs.Server
	files  []fs.File
	ids    []emul.FileID // of files
	paths  []string      // of the views that containers get
}

var (
	_ fs.Content = (*viewTree)(nil)
	_ fs.Writer  = (*viewTree)(nil)
)

// newViewTree lists the files of the kind. Those that this kernel doesn't have, or that
// can't be made sense of, keep their place and are hidden; the log tells of the latter.
func newViewTree(v *views, kind treeKind, dir string, s *settings.Cloister) *viewTree {
	t := &viewTree{views: v, kind: kind, dir: filepath.Join(dir, string(kind))}
	t.opts = t.options(&s.Serving)
	all := emul.Files()
	for _, view := range emul.Views() {
		if kindOf(view) != kind {
			continue
		}
		some := false
		for _, id := range view.Files {
			ok, err := v.host.Supported(id)
			if err != nil {
				v.log.Warn().Str("path", "/"+all[id].Path).Err(err).Msg("no view of this file")
			}
			t.files = append(t.files, fs.File{
				Path: all[id].Path, Mode: all[id].Mode, Dir: all[id].Dir, Stable: all[id].Stable, Hidden: !ok,
			})
			t.ids = append(t.ids, id)
			some = some || ok
		}
		if some && s.Views.Enabled(view.Path) {
			t.paths = append(t.paths, view.Path)
		}
	}
	return t
}

// volatile is how long the kernel keeps the few files of a pushed tree that change by
// themselves: as long as a sample is relied on.
const volatile = emul.DefaultPeriod

func (t *viewTree) options(s *settings.Serving) fs.Options {
	opts := fs.Options{Panicked: t.views.panicked, MaxStale: max(volatile, s.MaxStale.Duration)}
	switch {
	case t.kind == writable:
		opts.Writer = t
	case t.kind == pushed, s.MaxStale.Duration > 0:
		opts.Protocol = fs.Pushed
	case s.Protocol == settings.Direct:
		opts.Protocol = fs.Direct
	}
	return opts
}

// deviceName and memoryName are those of the tree's connection in the legacy.
func (t *viewTree) deviceName() string { return "views." + string(t.kind) + ".device" }
func (t *viewTree) memoryName() string { return "views." + string(t.kind) + ".memory" }

// errNothingLeft tells that no predecessor has served the tree.
var errNothingLeft = errors.New("no predecessor has served the views")

// resume goes on with the tree of a predecessor.
func (t *viewTree) resume(left legacy) (err error) {
	if !left.trusted() || !left.has(t.deviceName()) || !left.has(t.memoryName()) {
		return errNothingLeft
	}
	var conn fs.Connection
	if conn.Device, err = left.take(t.deviceName()); err != nil {
		return err
	}
	if conn.Memory, err = left.take(t.memoryName()); err != nil {
		return errors.Join(err, conn.Device.Close())
	}
	if t.server, err = fs.Resume(t.dir, conn, t.files, t, t.opts); err != nil {
		return errors.Join(err, conn.Device.Close(), conn.Memory.Close())
	}
	return nil
}

// abortOthers takes away what daemons of other versions, whose trees had other names,
// have left below dir.
func abortOthers(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return ignoreMissing(err)
	}
	var errs []error
	for _, e := range entries {
		if slices.Contains(treeKinds, treeKind(e.Name())) {
			continue
		}
		path := filepath.Join(dir, e.Name())
		errs = append(errs, fs.Abort(path), ignoreMissing(os.Remove(path)))
	}
	return errors.Join(errs...)
}

// mount mounts the tree in a directory of its own.
func (t *viewTree) mount(left legacy) (err error) {
	if err := left.forget(t.deviceName(), t.memoryName()); err != nil {
		return err
	}
	// A predecessor that was killed has left a mount that nobody answers for.
	if err := fs.Abort(t.dir); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	// Only root has business here: see rootMode in fs.
	if err := os.MkdirAll(t.dir, 0o700); err != nil {
		return err
	}
	if err := os.Chmod(filepath.Dir(t.dir), 0o700); err != nil { // it may be there from before
		return err
	}
	if t.server, err = fs.Mount(t.dir, t.files, t, t.opts); err != nil {
		return err
	}
	conn := t.server.Connection()
	return errors.Join(left.leave(t.deviceName(), conn.Device), left.leave(t.memoryName(), conn.Memory))
}

// close unmounts the tree.
func (t *viewTree) close() error {
	if t.server == nil {
		return nil
	}
	return errors.Join(t.server.Close(), os.Remove(t.dir))
}

// Render implements fs.Content.
func (t *viewTree) Render(dst []byte, slot fs.Slot, ref fs.Ref) ([]byte, error) {
	c, err := t.views.container(slot)
	if err != nil {
		return dst, err
	}
	panicInRender(t.files[ref.File].Path)
	out, err := c.Render(dst, t.ids[ref.File], ref.Member)
	t.failed(slot, ref.File, err)
	return out, err
}

// TryRender implements fs.Content.
func (t *viewTree) TryRender(dst []byte, slot fs.Slot, ref fs.Ref) ([]byte, bool) {
	c := t.views.opened(slot)
	if c == nil {
		return dst, false
	}
	return c.TryRender(dst, t.ids[ref.File], ref.Member)
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
