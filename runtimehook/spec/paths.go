package spec

import "slices"

// What engines hide and protect by default, where it is the host's and a user
// namespace doesn't hide it. /proc/sys is not among the read-only ones: what of
// it belongs to the container's namespaces is for the container to write, and the
// rest is the host's root's.
var (
	hostMasked = []string{
		"/proc/acpi", "/proc/asound", "/proc/buddyinfo", "/proc/interrupts", "/proc/kcore", "/proc/key-users", "/proc/keys", "/proc/latency_stats",
		"/proc/sched_debug", "/proc/schedstat", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats",
		"/sys/devices/virtual/powercap", "/sys/firmware",
	}
	hostReadOnly = []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sysrq-trigger"}
)

// ProtectPaths adds the paths that tell about the host to those that are masked,
// and its switches to those that are read-only, where an engine left them out. In
// place of the files in views, by path, the container has its own, which may show.
func (d *Document) ProtectPaths(views []string) {
	masked := slices.DeleteFunc(slices.Clone(hostMasked), func(path string) bool { return slices.Contains(views, path) })
	d.addPaths("maskedPaths", masked)
	d.addPaths("readonlyPaths", hostReadOnly)
}

// Masked reports whether a container doesn't see the host's file at a path.
func Masked(path string) bool { return slices.Contains(hostMasked, path) }

func (d *Document) addPaths(key string, paths []string) {
	all := elements(d.linux(), key)
	for _, p := range paths {
		if !slices.Contains(all, any(p)) {
			all = append(all, p)
		}
	}
	d.linux()[key] = all
}
