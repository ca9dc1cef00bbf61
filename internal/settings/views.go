package settings

import (
	"fmt"
	"maps"
	"slices"

	"cloister/emul"
)

// Views tells of views, by path as in "/proc/meminfo", whether containers get them.
// They get those that are not named. In place of a view that is switched off they see
// the host's file.
type Views map[string]bool

// Enabled reports whether containers get the view of a path without the slash before.
func (v Views) Enabled(path string) bool {
	on, named := v["/"+path]
	return on || !named
}

// validate refuses names that are of no view: what is meant would stay switched on.
func (v Views) validate() error {
	for _, name := range slices.Sorted(maps.Keys(v)) {
		known := false
		for _, view := range emul.Views() {
			known = known || "/"+view.Path == name
		}
		if !known {
			return fmt.Errorf("cloister.views: %q is no view; `cloister status` lists them", name)
		}
	}
	return nil
}
