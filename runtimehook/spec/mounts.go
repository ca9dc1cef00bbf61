package spec

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// IsBind reports whether a mount shows a file of the host, which runtimes tell by
// its options as well as by its type.
func IsBind(m *specs.Mount) bool {
	return m.Type == "bind" || m.Type == "rbind" || IsRecursive(m) || slices.Contains(m.Options, "bind")
}

// IsRecursive reports whether a bind mount brings along what is mounted below its
// source.
func IsRecursive(m *specs.Mount) bool { return slices.Contains(m.Options, "rbind") }

// SetMountSource makes mount number i come from source.
func (d *Document) SetMountSource(i int, source string) { d.mount(i)["source"] = source }

// SetMountType changes the file system type of mount number i.
func (d *Document) SetMountType(i int, fstype string) { d.mount(i)["type"] = fstype }

// AddMountOptions adds options to mount number i that it does not have yet, and
// removes those that say the opposite.
func (d *Document) AddMountOptions(i int, options ...string) {
	m := d.mount(i)
	all := elements(m, "options")
	for _, o := range options {
		if opposite, ok := opposites[o]; ok {
			all = slices.DeleteFunc(all, func(e any) bool { return e == opposite })
		}
		if !slices.Contains(all, any(o)) {
			all = append(all, o)
		}
	}
	m["options"] = all
}

var opposites = map[string]string{"ro": "rw", "nosuid": "suid", "nodev": "dev", "noexec": "exec"}

// DropIDMapping removes a mount's request to be id-mapped by the runtime.
func (d *Document) DropIDMapping(i int) {
	m := d.mount(i)
	delete(m, "uidMappings")
	delete(m, "gidMappings")
	m["options"] = slices.DeleteFunc(elements(m, "options"), func(e any) bool {
		o, _ := e.(string)
		name, _, _ := strings.Cut(o, "=")
		return name == "idmap" || name == "ridmap"
	})
}

func (d *Document) mount(i int) object {
	m, ok := elements(d.raw, "mounts")[i].(object)
	if !ok {
		panic("spec: mount without an object") // Parse has decoded it as one
	}
	return m
}

// AddMount appends a mount, to be made after all others.
func (d *Document) AddMount(m specs.Mount) {
	d.raw["mounts"] = append(elements(d.raw, "mounts"), generic(m))
}

// MountsNear reports whether the config mounts something at a path, below it or at one of
// the directories above it but the root.
func (d *Document) MountsNear(path string) bool {
	return slices.ContainsFunc(d.Spec.Mounts, func(m specs.Mount) bool {
		at := filepath.Join("/", m.Destination)
		return at == path || strings.HasPrefix(at, path+"/") || at != "/" && strings.HasPrefix(path, at+"/")
	})
}
