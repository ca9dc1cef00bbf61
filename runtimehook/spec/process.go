package spec

import (
	"path/filepath"
	"slices"
)

// KeepCapabilities removes the capabilities that have is false for from every
// set of the process: those that the host's root does not have itself can't be
// given, and asking for them makes a runtime fail.
func (d *Document) KeepCapabilities(have func(name string) bool) {
	if d.Spec.Process.Capabilities == nil {
		return
	}
	caps := child(d.section("process"), "capabilities")
	for set := range caps {
		if all, ok := caps[set].(list); ok {
			caps[set] = slices.DeleteFunc(all, func(c any) bool {
				name, ok := c.(string)
				return !ok || !have(name)
			})
		}
	}
}

// CapRlimits lowers the process's resource limits to the hard limits that most
// returns for their names ("RLIMIT_NOFILE"), where it knows the name: whoever lacks
// CAP_SYS_RESOURCE can't raise them, and asking for it makes a runtime fail.
func (d *Document) CapRlimits(most func(name string) (hard uint64, ok bool)) {
	for i, l := range d.Spec.Process.Rlimits {
		hard, ok := most(l.Type)
		if !ok || l.Hard <= hard {
			continue
		}
		if o, ok := elements(d.section("process"), "rlimits")[i].(object); ok {
			o["hard"], o["soft"] = hard, min(l.Soft, hard)
		}
	}
}

// CanMount reports whether the container's processes may have CAP_SYS_ADMIN, the right
// to mount, in its user namespace: a container needs that to have containers of its own.
func (d *Document) CanMount() bool {
	caps := d.Spec.Process.Capabilities
	return caps != nil && slices.Contains(caps.Bounding, "CAP_SYS_ADMIN")
}

// RunsInit reports whether the container's program is one that starts a whole system.
func (d *Document) RunsInit() bool {
	args := d.Spec.Process.Args
	return len(args) > 0 && slices.Contains([]string{"init", "systemd"}, filepath.Base(args[0]))
}
