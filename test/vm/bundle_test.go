//go:build vm

package vm

import (
	"encoding/json"
	"path"
	"slices"
)

// rootfs is the root file system of every container, on the guest's disk.
const rootfs = "/data/rootfs"

// makeRootfs fills it with busybox.
const makeRootfs = `set -e
mkdir -p ` + rootfs + `/bin ` + rootfs + `/dev ` + rootfs + `/etc ` + rootfs + `/proc ` + rootfs + `/sys ` + rootfs + `/tmp
cp /bin/busybox ` + rootfs + `/bin/busybox
for applet in cat date readlink sh sleep touch uptime; do
	ln -s busybox ` + rootfs + `/bin/$applet
done
`

type object = map[string]any

const mebibyte = 1 << 20

// kinds are the namespaces that engines give to a container.
var kinds = []string{"pid", "network", "ipc", "uts", "mount", "cgroup"}

// ahead is how far the clocks of a time namespace are ahead of the guest's, in
// seconds.
const ahead = 1000

// bundle returns the config.json of a container as engines write it: with
// namespaces of these kinds, 64 MiB of memory and as much swap again, and half a CPU.
func bundle(name string, kinds ...string) File {
	var namespaces []object
	for _, kind := range kinds {
		namespaces = append(namespaces, object{"type": kind})
	}
	mount := func(kind, at string, options ...string) object {
		return object{"destination": at, "type": kind, "source": kind, "options": slices.Concat([]string{"nosuid", "noexec"}, options)}
	}
	config := object{
		"ociVersion": "1.0.2",
		"hostname":   "container",
		"root":       object{"path": rootfs},
		"process": object{
			"user": object{"uid": 0, "gid": 0},
			"args": []string{"sleep", "1000000"},
			"cwd":  "/",
			"env":  []string{"PATH=/bin"},
		},
		"mounts": []object{
			mount("proc", "/proc", "nodev"),
			{"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
			mount("devpts", "/dev/pts", "newinstance", "ptmxmode=0666", "mode=0620"),
			mount("sysfs", "/sys", "nodev", "ro"),
			mount("cgroup", "/sys/fs/cgroup", "nodev", "ro"),
		},
		"linux": object{
			"cgroupsPath": "/tests/" + name,
			"namespaces":  namespaces,
			"resources": object{
				"devices": []object{{"allow": false, "access": "rwm"}},
				"memory":  object{"limit": 64 * mebibyte, "swap": 128 * mebibyte},
				"cpu":     object{"quota": 50000, "period": 100000},
			},
		},
	}
	if slices.Contains(kinds, "time") {
		offset := object{"secs": ahead, "nanosecs": 0}
		config["linux"].(object)["timeOffsets"] = object{"boottime": offset, "monotonic": offset}
	}
	data, err := json.MarshalIndent(config, "", "\t")
	if err != nil {
		panic(err) // there is nothing in it that JSON can't hold
	}
	return File{Path: path.Join("/bundles", name, "config.json"), Data: data, Mode: 0o644}
}
