package spec

import (
	"fmt"
	"maps"
	"strconv"
	"strings"
)

const pingGroupRange = "net.ipv4.ping_group_range"

// TakeSysctls removes the sysctls of namespaces from the document and returns them by
// their dotted names: whoever has the host's privileges writes them in the container's
// namespaces. The runtime, in the container, can't set those of a namespace that belongs
// to the host's user namespace, before Linux 6.9 none of ipc and uts, and none at all
// where /proc/sys is read-only.
func (d *Document) TakeSysctls() map[string]string {
	taken := map[string]string{}
	all := child(d.linux(), "sysctl")
	for name, v := range maps.Clone(all) {
		value, ok := v.(string)
		key := sysctlName(name)
		if ok && SysctlNamespace(key) != "" {
			taken[key] = value
			delete(all, name)
		}
	}
	return taken
}

// SysctlNamespace returns the kind of namespace that a sysctl (dotted name)
// belongs to, as in /proc/<pid>/ns, or "" for one that is the host's.
func SysctlNamespace(name string) string {
	switch name {
	case "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem",
		"kernel.shmall", "kernel.shmmax", "kernel.shmmni", "kernel.shm_rmid_forced":
		return "ipc"
	case "kernel.domainname", "kernel.hostname":
		return "uts"
	}
	switch {
	case strings.HasPrefix(name, "fs.mqueue."):
		return "ipc"
	case strings.HasPrefix(name, "net."):
		return "net"
	}
	return ""
}

// sysctlName returns the dotted form: runtimes take slashes as well.
func sysctlName(name string) string {
	first := strings.IndexAny(name, "./")
	if first < 0 || name[first] == '.' {
		return name
	}
	return strings.NewReplacer("/", ".", ".", "/").Replace(name)
}

// fitGroups returns a group range whose end is one of size ids. What it can't
// read it leaves for the kernel to refuse.
func fitGroups(value string, size uint32) string {
	first, last, ok := groupRange(value)
	if !ok || first > last || first >= uint64(size) {
		return value
	}
	return fmt.Sprintf("%d %d", first, min(last, uint64(size)-1))
}

// ShiftPingGroups translates a group range of the container's ids to the host's,
// for writing it from outside. If the container has none of the groups the range
// becomes "1 0", which means nobody.
func ShiftPingGroups(sysctls map[string]string, start, size uint32) {
	value, ok := sysctls[pingGroupRange]
	if !ok {
		return
	}
	first, last, ok := groupRange(fitGroups(value, size))
	switch {
	case !ok:
	case first > last || first >= uint64(size):
		sysctls[pingGroupRange] = "1 0"
	default:
		sysctls[pingGroupRange] = fmt.Sprintf("%d %d", uint64(start)+first, uint64(start)+last)
	}
}

func groupRange(value string) (first, last uint64, ok bool) {
	f := strings.Fields(value)
	if len(f) != 2 {
		return 0, 0, false
	}
	first, err1 := strconv.ParseUint(f[0], 10, 32)
	last, err2 := strconv.ParseUint(f[1], 10, 32)
	return first, last, err1 == nil && err2 == nil
}
