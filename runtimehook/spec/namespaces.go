package spec

import (
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// Namespace returns the document's namespace of a kind, nil if the container
// would share the host's.
func (d *Document) Namespace(kind specs.LinuxNamespaceType) *specs.LinuxNamespace {
	i := slices.IndexFunc(d.Spec.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == kind })
	if i < 0 {
		return nil
	}
	return &d.Spec.Linux.Namespaces[i]
}

// SetNamespace gives the container a namespace of its own (empty path) or an
// existing one.
func (d *Document) SetNamespace(kind specs.LinuxNamespaceType, path string) {
	ns := generic(specs.LinuxNamespace{Type: kind, Path: path})
	all := elements(d.linux(), "namespaces")
	for i, n := range all {
		if n, ok := n.(object); ok && n["type"] == string(kind) {
			all[i] = ns
			return
		}
	}
	d.linux()["namespaces"] = append(all, ns)
}

// SetIDMappings maps the container's ids from 0 to size-1 to the host's from
// start, for users and groups alike.
func (d *Document) SetIDMappings(start, size uint32) {
	m := generic([]specs.LinuxIDMapping{{ContainerID: 0, HostID: start, Size: size}})
	d.linux()["uidMappings"] = m
	d.linux()["gidMappings"] = generic(m)
}

// SetTimeOffsets moves the clocks of the container's time namespace.
func (d *Document) SetTimeOffsets(offsets map[string]specs.LinuxTimeOffset) {
	d.linux()["timeOffsets"] = generic(offsets)
}
