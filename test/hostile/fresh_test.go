//go:build hostile

package hostile

import (
	"slices"
	"testing"
)

// freshRows are about a proc or sysfs that a container mounts itself. P and Q stand for
// directories.
var freshRows = []row{
	{"a new proc carries all", "new proc P; carries P /proc; total P/meminfo; agree P /proc meminfo cpuinfo stat swaps uptime loadavg; detach P; detach P", "ok; ok; " + memoryKiB + "; ok; ok; EINVAL"},
	{"even while it is used", "new proc P; cd P; umount P; cd /; stat P/meminfo", "ok; ok; ENOENT"},
	{"a new sysfs carries all", "new sysfs P; carries P /sys; agree P /sys devices/system/cpu/online; detach P", "ok; ok; ok; ok"},
	{"a second one on the first", "new proc P; new proc P; carries P /proc; total P/meminfo; detach P; total P/meminfo; detach P; stat P/meminfo", "ok; ok; ok; " + memoryKiB + "; ok; " + memoryKiB + "; ok; ENOENT"},
	{"on proc itself", "enter unshare; new proc /proc; carries /proc /proc; total /proc/meminfo; detach /proc; carries /proc /proc", "ok; ok; " + memoryKiB + "; ok; ok"},
	{"a read-only one", "new proc P ro; carries P /proc; append P/sys/net/ipv4/ip_default_ttl; append P/sys/kernel/core_pattern; append P/pressure/cpu; detach P", "ok; ok; EROFS|EACCES; EROFS|EACCES; EROFS|EACCES|ENOENT; ok"},
	{"a read-only sysfs", "new sysfs P ro; carries P /sys; append P/kernel/profiling; detach P", "ok; ok; EROFS|EACCES; ok"},
	{"read-only later", "new proc P; set ro P; append P/uptime; append P/sys/net/ipv4/ip_default_ttl; carries P /proc; detach P", "ok; ok; EROFS|EACCES; EROFS|EACCES; ok; ok"},
	{"hidepid hides from users", "enter unshare; new proc P hidepid=2; carries P /proc; stat P/1; as 1000; stat P/1", "ok; ok; ok; ENOENT"},
	{"one that shows processes alone", "new proc P subset=pid; new proc P hidepid=2,subset=pid", "EINVAL; EINVAL"},
	{"an option that is none", "new proc P nonsense=1", "EINVAL"},
	{"moved", "new proc P; move P Q; carries Q /proc; total Q/meminfo; stat P/meminfo; detach Q", "ok; ok; ok; " + memoryKiB + "; ENOENT; ok"},
	{"a copy of proc", "bind /proc P; carries P /proc; total P/meminfo; umount P/meminfo; detach P", "ok; ok; " + memoryKiB + "; EINVAL; ok"},
	{"a copy of sysfs", "bind /sys P; carries P /sys; umount P/devices/system/cpu; detach P", "ok; ok; EINVAL; ok"},
	{"a recursive copy", "rbind /proc P; carries P /proc; total P/meminfo; detach P", "ok; ok; " + memoryKiB + "; ok"},
	{"a copy of a new one", "new proc P; bind P Q; carries Q /proc; total Q/meminfo; detach P; carries Q /proc; detach Q", "ok; ok; ok; " + memoryKiB + "; ok; ok; ok"},
	{"a copy through another root", "bind /proc/1/root/proc P; total P/meminfo; detach P", "ok; " + memoryKiB + "; ok"},
	{"a copy of a part", "bind /proc/sys P; append P/kernel/core_pattern; append P/kernel/modprobe; read P/kernel/cap_last_cap; detach P", "ok; EROFS|EACCES; EROFS|EACCES|ENOENT; *; ok"},
	{"a copy of the whole root", "bind / P; stat P/proc/meminfo; detach P", "ok|EINVAL; ENOENT; ok|EINVAL"},
	{"a copy of a view over itself", "bind /proc/meminfo /proc/meminfo; total /proc/meminfo; umount /proc/meminfo; total /proc/meminfo; umount /proc/meminfo", "ok; " + memoryKiB + "; ok; " + memoryKiB + "; EINVAL"},
	{"a file over a view", "touch /tmp/f; bind /tmp/f /proc/meminfo; read /proc/meminfo; umount /proc/meminfo; total /proc/meminfo", "ok; empty; ok; " + memoryKiB},
	{"propagation", "new proc P; propagate P shared; carries P /proc; bind P Q; carries Q /proc; detach Q; propagate P slave; propagate P private; carries P /proc; detach P", "ok; ok; ok; ok; ok; ok; ok; ok; ok; ok"},
	{"an unbindable one", "new proc P; propagate P unbindable; carries P /proc; bind P Q; detach P", "ok; ok; ok; EINVAL; ok"},
	{"one of two", "new proc P; new proc Q; detach P; carries Q /proc; total Q/meminfo; detach Q", "ok; ok; ok; ok; " + memoryKiB + "; ok"},
	{"its views stay", "new proc P; umount P/meminfo; detach P/meminfo; move P/uptime Q; clear ro P/meminfo; total P/meminfo; detach P", "ok; EINVAL; EINVAL; EINVAL; *; " + memoryKiB + "; ok"},
	{"what is hidden is hidden there", "new proc P; shows P/kcore; shows P/keys; append P/sys/kernel/core_pattern; append P/sysrq-trigger; umount P/kcore; detach P", "ok; empty|EACCES|EPERM|ENOENT; empty|EACCES; EROFS|EACCES; EROFS|EACCES|ENOENT; EINVAL|ENOENT; ok"},
	{"and in a new sysfs", "new sysfs P; names P/firmware; names P/kernel/debug; append P/kernel/uevent_helper; detach P", "ok; 0|ENOENT; 0|ENOENT; EROFS|EACCES|ENOENT; ok"},
	{"by relative and symbolic names", "link P /tmp/l; cd /tmp; new proc l/../p/./; total P/meminfo; detach l; stat P/meminfo", "ok; " + memoryKiB + "; ok; ENOENT"},
	{"through proc", "cd P; new proc /proc/self/cwd; total P/meminfo; cd /; detach P", "ok; " + memoryKiB + "; ok"},
	{"on what is missing", "new proc /missing/p; touch /tmp/f; new proc /tmp/f", "ENOENT; ENOTDIR"},
	{"by another user", "as 1000; new proc P; new sysfs P; bind /proc P", "EPERM; EPERM; EPERM"},
	{"without the capability", "drop 21; new proc P; new sysfs P", "EPERM; EPERM"},
	{"where the caller may not go", "mkdir /tmp/d/p; chmod 600 /tmp/d; drop 1 2; new proc /tmp/d/p", "EACCES"},
	{"in a mount namespace of its own", "enter unshare; new proc P; carries P /proc; new sysfs Q; carries Q /sys", "ok; ok; ok; ok"},
	{"in another root", "enter chroot; new proc P; carries P /proc; total P/meminfo; detach P", "ok; ok; " + memoryKiB + "; ok"},
	{"in a root that was pivoted to", "enter pivot; new proc P; carries P /proc; total P/meminfo", "ok; ok; " + memoryKiB},
	{"in a pid namespace", "enter pid; new proc /proc; carries /proc /proc; total /proc/meminfo; read /proc/1/comm", "ok; ok; " + memoryKiB + "; " + probeName},
	{"in a user namespace, as unshare -Urmpf --mount-proc", "enter userns+pid; new proc /proc; carries /proc /proc; total /proc/meminfo; umount /proc/meminfo; read /proc/1/comm", "ok; ok; " + memoryKiB + "; EINVAL; " + probeName},
	{"in a user namespace without a pid namespace", "enter userns; new proc P; clear ro /ro; umount /proc/meminfo; total /proc/meminfo", "EPERM; EPERM; EINVAL; " + memoryKiB},
	{"a sysfs of another network namespace", "enter userns+net; new sysfs P; carries P /sys; umount P/devices/system/cpu", "ok; ok; EINVAL"},
	{"as a layer of an overlay", "new overlay P lowerdir=/proc:/opt; total P/meminfo; detach P", "ok|EINVAL|ENODEV|EPERM; ENOENT|EINVAL|EIO|" + memoryKiB + "; ok|EINVAL"},
	{"not by fsopen", "detached; api fs; new proc P; new sysfs P", "ENOSYS; ENOSYS; ENOSYS"},
	{"not by a detached copy", "clone /proc", "EINVAL"},
	{"no copy without the views by open_tree", "api tree; bind /proc P; rbind /proc P; carries P /proc; detach P", "EINVAL; ok; ok; ok"},
	{"unmounted as every other", "new proc P; umount P; stat P/meminfo; new sysfs P; umount P; stat P/devices; bind /proc P; umount P; stat P/meminfo; detach P; detach P; detach P", "ok; ok; ENOENT; ok; ok; ENOENT; ok; ok; ENOENT; *; *; *"},
}

// privilegedRows need a writable /proc/sys.
var privilegedRows = []row{
	{"read-only and back", "new proc P; append P/sys/net/ipv4/ip_default_ttl; set ro P; append P/sys/net/ipv4/ip_default_ttl; clear ro P; append P/sys/net/ipv4/ip_default_ttl; detach P", "ok; ok; ok; EROFS; ok; ok; ok"},
	{"what the network namespace has is its own", "put /proc/sys/net/ipv4/ip_default_ttl 65; new proc P; read P/sys/net/ipv4/ip_default_ttl; put P/sys/net/ipv4/ip_default_ttl 64; read /proc/sys/net/ipv4/ip_default_ttl; detach P", "ok; ok; 65; ok; 64; ok"},
}

// adminRows are for containers whose /sys and /proc/sys are read-only.
var adminRows = []row{
	{"a sysfs is as read-only as the first", "new sysfs P; append P/kernel/profiling; clear ro P; detach P", "ok; EROFS|EACCES; EPERM; ok"},
	{"and /proc/sys", "new proc P; append P/sys/net/ipv4/ip_default_ttl; clear ro P/sys; append P/sys/net/ipv4/ip_default_ttl; detach P", "ok; EROFS|EACCES; EPERM; EROFS|EACCES; ok"},
}

func TestFreshProcAndSysfs(t *testing.T) {
	eachEngine(t, func(t *testing.T, e engine) {
		holds(t, e, privileged, inBothABIs(slices.Concat(freshRows, privilegedRows)))
		_, byDocker := e.(docker)
		if byDocker { // a bundle's config has no read-only paths
			holds(t, e, admin, withoutPivot(inBothABIs(slices.Concat(freshRows, adminRows))))
		}
	})
}

// inBothABIs has the directories made, and mount(2) called in two ways. Entering comes
// first.
func inBothABIs(rows []row) (all []row) {
	for _, way := range []string{"mount", "i386"} {
		for _, r := range rows {
			place, rest, ok := cutPlace(r.steps)
			if !ok {
				place, rest = "enter plain", r.steps
			}
			all = append(all, row{r.name + ", " + way, inDirectories(place + "; mkdir P; mkdir Q; api " + way + "; " + rest), r.want})
		}
	}
	return all
}
