package spec

import (
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// AllowsAllDevices reports whether the container was given every device of the
// host, which is what an engine's --privileged writes.
func (d *Document) AllowsAllDevices() bool {
	r := d.Spec.Linux.Resources
	return r != nil && slices.ContainsFunc(r.Devices, func(c specs.LinuxDeviceCgroup) bool {
		return c.Allow && (c.Type == "" || c.Type == "a") && (c.Major == nil || *c.Major < 0) && (c.Minor == nil || *c.Minor < 0)
	})
}

// KeepDevices removes the devices that keep is false for.
func (d *Document) KeepDevices(keep func(path string) bool) {
	devices, ok := d.linux()["devices"].(list)
	if !ok {
		return
	}
	d.linux()["devices"] = slices.DeleteFunc(devices, func(e any) bool {
		o, _ := e.(object)
		path, _ := o["path"].(string)
		return !keep(path)
	})
}

// SetDeviceRules replaces the rules of the container's device cgroup.
func (d *Document) SetDeviceRules(rules []specs.LinuxDeviceCgroup) {
	child(d.linux(), "resources")["devices"] = generic(rules)
}
