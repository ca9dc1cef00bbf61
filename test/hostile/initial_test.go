//go:build hostile

package hostile

import (
	"strings"
	"testing"
)

// places are where a row may happen: in the container, in another root, in a mount
// namespace of its own, and both.
var places = []string{"chroot", "unshare", "unshare+chroot", "pivot", "plain"}

// ways are the mount APIs: see the probe's mountAPIs.
var ways = []string{"mount", "i386", "setattr", "tree", "fs"}

// noPick are the answers to who would change a file system of the host's by fspick(2).
const noPick = "EPERM|ENOSYS"

// sealedFlags are those of the first proc and sysfs.
const sealedFlags = "nodev,noexec,nosuid; nodev,noexec,nosuid|nodev,noexec,nosuid,ro"

// initialRows are about mounts that a container was started with, whichever way they are
// changed, wherever. A way that is not named is like mount.
var initialRows = []struct {
	name  string
	steps string
	want  map[string]string // by way
}{
	{
		"read-only stays read-only", "clear ro /ro; write /ro",
		map[string]string{"mount": "EPERM; EROFS", "fs": noPick + "; EROFS"},
	},
	{
		"a copy of a read-only mount stays so", "mkdir /tmp/c; bind /ro /tmp/c; clear ro /tmp/c; write /tmp/c; detach /tmp/c",
		map[string]string{"mount": "ok; EPERM; EROFS; ok", "fs": "ok; " + noPick + "; EROFS; ok"},
	},
	{
		"so does a recursive one", "mkdir /tmp/c; rbind /ro /tmp/c; clear ro /tmp/c; write /tmp/c; detach /tmp/c",
		map[string]string{"mount": "ok; EPERM; EROFS; ok", "fs": "ok; " + noPick + "; EROFS; ok"},
	},
	{
		"read-only may be said again", "set ro /ro; write /ro",
		map[string]string{"mount": "ok; EROFS", "fs": noPick + "; EROFS"},
	},
	{
		"writable to read-only and back", "set ro /rw; write /rw; clear ro /rw; write /rw",
		map[string]string{"mount": "ok; EROFS; ok; ok", "fs": noPick + "; ok; " + noPick + "; ok"},
	},
	{
		"writable may be said again", "clear ro /rw; write /rw",
		map[string]string{"mount": "ok; ok", "fs": noPick + "; ok"},
	},
	{
		"a copy is another mount", "mkdir /tmp/k; bind /rw /tmp/k; set ro /tmp/k; write /tmp/k; write /rw; clear ro /tmp/k; write /tmp/k; detach /tmp/k",
		map[string]string{"mount": "ok; ok; EROFS; ok; ok; ok; ok", "fs": "ok; " + noPick + "; ok; ok; " + noPick + "; ok; ok"},
	},
	{
		"a new mount over one", "mkdir /tmp/c; bind /rw /ro; write /ro; umount /ro; write /ro",
		map[string]string{"mount": "ok; ok; ok; EROFS"},
	},
	{
		// By mount(2) the others of the flags are asked for, which is done: the one stays.
		"other attributes of proc and sysfs", "clear nosuid /proc; clear nodev /proc; clear noexec /sys; attributes /proc; attributes /sys",
		map[string]string{
			"mount": "ok; ok; ok; " + sealedFlags, "setattr": "EPERM; EPERM; EPERM; " + sealedFlags,
			"tree": "EINVAL; EINVAL; EINVAL; " + sealedFlags, "fs": strings.Repeat(noPick+"|EINVAL; ", 3) + sealedFlags,
		},
	},
	{
		"a view stays", "umount /proc/meminfo; detach /proc/meminfo; move /proc/meminfo /opt/disk; total /proc/meminfo",
		map[string]string{"mount": "EINVAL; EINVAL; EINVAL; " + memoryKiB},
	},
	{
		"a view of sysfs stays", "umount /sys/devices/system/cpu; detach /sys/devices/system/cpu; move /sys/devices/system/cpu /opt; carries /sys /sys",
		map[string]string{"mount": "EINVAL; EINVAL; EINVAL; ok"},
	},
	{
		"a view can't be made writable", "clear ro /proc/meminfo; append /proc/meminfo",
		map[string]string{"mount": "*; EROFS|EACCES", "tree": "*; EROFS|EACCES"},
	},
	{
		"what is hidden stays hidden", "umount /proc/kcore; detach /proc/kcore; shows /proc/kcore; umount /proc/keys; shows /proc/keys",
		map[string]string{"mount": "EINVAL|ENOENT; EINVAL|ENOENT; empty|EACCES|EPERM|ENOENT; EINVAL; empty|EACCES"},
	},
	{
		"a copy of a view has the container's values", "touch /tmp/f; bind /proc/meminfo /tmp/f; total /tmp/f; umount /tmp/f; total /proc/meminfo",
		map[string]string{"mount": "ok; " + memoryKiB + "; ok; " + memoryKiB},
	},
	{
		"proc and sysfs are not unmounted", "umount /proc; umount /sys; carries /proc /proc; carries /sys /sys",
		map[string]string{"mount": "EBUSY|EINVAL; EBUSY|EINVAL; ok; ok"},
	},
	{
		"the root is not unmounted", "umount /; write /",
		map[string]string{"mount": "EINVAL|EPERM|EBUSY; ok"},
	},
	{
		"layers of a chain of copies", "mkdir /tmp/c; link /tmp/c /tmp/l; bind /rw /tmp/c; bind /tmp/c /tmp/c; umount /tmp/l; umount /tmp/c; umount /tmp/c",
		map[string]string{"mount": "ok; ok; ok; ok; EINVAL"},
	},
	{
		"copies of a file and a device", "touch /tmp/f; bind /etc/passwd /tmp/f; umount /tmp/f; bind /dev/null /tmp/f; umount /tmp/f",
		map[string]string{"mount": "ok; ok; ok; ok"},
	},
}

// elsewhereRows are for mount namespaces and roots of the container's own making.
var elsewhereRows = []row{
	{"proc taken away with all on it reveals nothing", "detach /proc; stat /proc/meminfo; new proc /proc; total /proc/meminfo; carries /proc /proc", "ok; ENOENT; ok; " + memoryKiB + "; ok"},
	{"sysfs likewise", "detach /sys; stat /sys/devices; new sysfs /sys; carries /sys /sys", "ok; ENOENT; ok; ok"},
	{"moved away likewise", "mkdir /tmp/m; move /proc /tmp/m; stat /proc/meminfo; total /tmp/m/meminfo; new proc /proc; carries /proc /proc", "ok; ENOENT; " + memoryKiB + "; ok; ok"},
}

// lastRows take mounts away for good.
var lastRows = []row{
	{"another initial mount may be unmounted", "umount /gone1; umount /gone1", "ok; EINVAL"},
	{"also by i386", "api i386; umount /gone2; umount /gone2", "ok; EINVAL"},
}

func allInitialRows() (all []row) {
	for _, place := range places {
		for _, way := range ways {
			for _, r := range initialRows {
				want, ok := r.want[way]
				if !ok {
					want = r.want["mount"]
				}
				all = append(all, row{strings.Join([]string{r.name, place, way}, ", "), "enter " + place + "; api " + way + "; " + r.steps, want})
			}
		}
		if place == "plain" {
			continue
		}
		for _, way := range []string{"mount", "i386"} {
			for _, r := range elsewhereRows {
				all = append(all, row{strings.Join([]string{r.name, place, way}, ", "), "enter " + place + "; api " + way + "; " + r.steps, r.want})
			}
		}
	}
	return append(all, lastRows...)
}

func TestInitialMounts(t *testing.T) {
	eachEngine(t, func(t *testing.T, e engine) {
		holds(t, e, privileged, allInitialRows())
		rows := allInitialRows()
		if _, byDocker := e.(docker); byDocker {
			rows = withoutPivot(rows)
		}
		holds(t, e, admin, rows)
	})
}

// TestReadOnlyRoot: that of docker's --read-only can't be made writable.
func TestReadOnlyRoot(t *testing.T) {
	var all []row
	for _, place := range []string{"plain", "unshare"} {
		for _, way := range ways {
			all = append(all, row{
				place + ", " + way, "enter " + place + "; api " + way + "; clear ro /; write /; mkdir /tmp/c; bind / /tmp/c; clear ro /tmp/c; write /tmp/c; detach /tmp/c",
				noPick + "; EROFS; ok|EINVAL; " + noPick + "|EINVAL; EROFS|ok; ok|EINVAL",
			})
		}
	}
	eachEngine(t, func(t *testing.T, e engine) { holds(t, e, readOnly, all) })
}
