package spec

import "path/filepath"

// SetRoot points the container's root file system at path.
func (d *Document) SetRoot(path string) { d.section("root")["path"] = path }

// MakeAbsolute resolves the paths that may be relative to the bundle: the root
// file system and the sources of bind mounts. The document changes and the typed
// view as well.
func (d *Document) MakeAbsolute(bundle string) {
	abs := func(path string) string {
		if filepath.IsAbs(path) {
			return path
		}
		return filepath.Join(bundle, path)
	}
	d.Spec.Root.Path = abs(d.Spec.Root.Path)
	d.SetRoot(d.Spec.Root.Path)
	for i := range d.Spec.Mounts {
		if m := &d.Spec.Mounts[i]; IsBind(m) {
			m.Source = abs(m.Source)
			d.SetMountSource(i, m.Source)
		}
	}
}
