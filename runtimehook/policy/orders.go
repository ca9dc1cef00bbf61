package policy

import (
	"maps"
	"slices"
	"strings"
)

// orders are the beginnings of annotations that runc and crun obey, with the host's
// privileges: they load plugins, open files, connect to sockets, run other programs,
// set properties of systemd units. (runc names its own in the answer to `features`.)
var orders = []string{"run.oci.", "krun.", "module.wasm.", "org.criu.", "org.systemd.property."}

// harmlessOrders are those that engines give themselves, with the values that they
// may have; nil stands for all.
var harmlessOrders = map[string][]string{
	"run.oci.mount_context_type":               {"context", "fscontext", "defcontext", "rootcontext"},
	"org.systemd.property.After":               nil,
	"org.systemd.property.CollectMode":         nil,
	"org.systemd.property.DefaultDependencies": nil,
	"org.systemd.property.Delegate":            nil,
	"org.systemd.property.KillSignal":          nil,
	"org.systemd.property.TimeoutStopUSec":     nil,
}

// orders refuses what a config has the runtime do on the host besides making a
// container.
func (p *Rules) orders(r *Request) []error {
	var errs []error
	config := r.Config.Spec
	for _, name := range slices.Sorted(maps.Keys(config.Annotations)) {
		if isOrder(name, config.Annotations[name]) {
			errs = append(errs, invalid("annotation", "the runtime would obey the annotation %s=%q with the host's privileges", name, config.Annotations[name]))
		}
	}
	if s := config.Linux.Seccomp; s != nil && s.ListenerPath != "" {
		errs = append(errs, invalid("seccomp", "a cloister container can't send its system calls to %s", s.ListenerPath))
	}
	if len(config.Linux.NetDevices) > 0 {
		errs = append(errs, invalid("net-device", "a cloister container can't take network devices of the host %q", slices.Sorted(maps.Keys(config.Linux.NetDevices))))
	}
	if res := config.Linux.Resources; res != nil {
		for _, file := range slices.Sorted(maps.Keys(res.Unified)) {
			// cgroup.procs moves processes, of the host as well.
			if strings.HasPrefix(file, "cgroup.") || strings.Contains(file, "/") {
				errs = append(errs, invalid("cgroup", "%s is not a limit that a container can have", file))
			}
		}
	}
	return errs
}

func isOrder(name, value string) bool {
	if values, ok := harmlessOrders[name]; ok {
		return values != nil && !slices.Contains(values, value)
	}
	return name == "bundle" || slices.ContainsFunc(orders, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}
