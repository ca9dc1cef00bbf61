package cgroupview

import "path/filepath"

// At returns the paths of the cgroup that has the same path in every hierarchy, as
// runtimes make it for a container.
func (l *Layout) At(path string) Paths {
	p := Paths{V1: map[string]string{}}
	if l.v2 != nil {
		p.Unified = path
	}
	for controller := range l.v1 {
		p.V1[controller] = path
	}
	return p
}

// Dirs returns the directories of a cgroup, each once and as seen through the
// layout's root. Hierarchies of which it is the root are left out, and those that
// don't show it.
func (l *Layout) Dirs(p Paths) []string {
	var dirs []string
	seen := map[string]bool{}
	add := func(h *hierarchy, path string) {
		rel, err := h.locate(path)
		if err != nil || rel == "." {
			return
		}
		if dir := filepath.Join(h.dir, rel); !seen[dir] {
			seen[dir] = true
			dirs = append(dirs, dir)
		}
	}
	if l.v2 != nil {
		add(l.v2, p.Unified)
	}
	for controller, path := range p.V1 {
		if h := l.v1[controller]; h != nil {
			add(h, path)
		}
	}
	return dirs
}
