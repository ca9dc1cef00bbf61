package spec

import (
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// AddHook appends a hook to a stage ("prestart"), after those of the
// engine: dockerd's own prestart hook has to come first. An earlier hook of the
// same stage that runs the same program is replaced.
func (d *Document) AddHook(stage string, h specs.Hook) {
	hooks := d.section("hooks")
	others := slices.DeleteFunc(elements(hooks, stage), func(e any) bool {
		o, ok := e.(object)
		return ok && o["path"] == h.Path
	})
	hooks[stage] = append(others, generic(h))
}

// HasHook reports whether a stage ("prestart") has a hook for which is is true.
func (d *Document) HasHook(stage string, is func(h *specs.Hook) bool) bool {
	hooks, _ := d.raw["hooks"].(object)
	return slices.ContainsFunc(elements(hooks, stage), func(e any) bool {
		o, _ := e.(object)
		h := &specs.Hook{}
		h.Path, _ = o["path"].(string)
		for _, arg := range elements(o, "args") {
			text, _ := arg.(string)
			h.Args = append(h.Args, text)
		}
		return is(h)
	})
}
