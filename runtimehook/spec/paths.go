package spec

import (
	"path"
	"slices"
	"strings"
)

// What engines hide and protect by default, where it is the host's and a user
// namespace doesn't hide it. /proc/sys is not among the read-only ones: what of
// it belongs to the container's namespaces is for the container to write, and the
// rest is the host's root's.
var (
	hostMasked = []string{
		"proc/acpi", "proc/asound", "proc/buddyinfo", "proc/interrupts", "proc/kcore", "proc/key-users", "proc/keys", "proc/latency_stats",
		"proc/sched_debug", "proc/schedstat", "proc/scsi", "proc/timer_list", "proc/timer_stats",
		"sys/devices/virtual/powercap", "sys/firmware",
	}
	hostReadOnly = []string{"proc/bus", "proc/fs", "proc/irq", "proc/sysrq-trigger"}
)

// HostPaths returns the paths that tell about the host, to be masked, and its switches,
// to be read-only, written like those of views. In place of the files in views the
// container has its own, which may show.
func HostPaths(views []string) (masked, readOnly []string) {
	masked = slices.DeleteFunc(slices.Clone(hostMasked), func(path string) bool { return slices.Contains(views, path) })
	return masked, slices.Clone(hostReadOnly)
}

// TakePaths removes the masked and read-only paths of proc and sysfs from the document.
// It returns them, written like those of views, with the host's where an engine left
// them out. Paths that are not the same file for every process are left to the runtime,
// and it has those of sysctls as well: some are other files in each namespace.
func (d *Document) TakePaths(views []string) (masked, readOnly []string) {
	masked, readOnly = HostPaths(views)
	return union(d.takePaths("maskedPaths"), masked), union(d.takePaths("readonlyPaths"), readOnly)
}

// Masked reports whether a container doesn't see the host's file at a path.
func Masked(path string) bool { return slices.Contains(hostMasked, path) }

func union(a, b []string) []string {
	for _, p := range b {
		if !slices.Contains(a, p) {
			a = append(a, p)
		}
	}
	return a
}

func (d *Document) takePaths(key string) (taken []string) {
	all, ok := d.linux()[key].(list)
	if !ok {
		return nil
	}
	d.linux()[key] = slices.DeleteFunc(all, func(e any) bool {
		p, _ := e.(string)
		p, ok := ofKernel(p)
		if ok {
			taken = append(taken, p)
		}
		return ok && !strings.HasPrefix(p, "proc/sys/")
	})
	return taken
}

// ofKernel returns a path of proc or sysfs as those of views are written.
func ofKernel(p string) (string, bool) {
	p = strings.TrimPrefix(path.Clean("/"+p), "/")
	fs, file, _ := strings.Cut(p, "/")
	if fs == "sys" {
		return p, file != ""
	}
	name, _, _ := strings.Cut(file, "/")
	ofProcess := name == "" || name[0] >= '0' && name[0] <= '9' || slices.Contains(perProcess, name)
	return p, fs == "proc" && !ofProcess
}

// perProcess are the names in proc that lead to the directory of who asks.
var perProcess = []string{"self", "thread-self", "net", "mounts"}
