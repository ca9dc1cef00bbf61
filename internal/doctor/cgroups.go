package doctor

import (
	"os"
	"slices"
	"strings"

	"github.com/moby/sys/mountinfo"

	"cloister/cgroupview"
)

// controllers are the cgroup controllers that the views tell about, by their
// names in cgroup v1 and v2.
var controllers = []struct{ v1, v2 string }{
	{"memory", "memory"}, {"cpu", "cpu"}, {"cpuset", "cpuset"}, {"pids", "pids"}, {"blkio", "io"},
}

// cgroups looks at how the cgroup hierarchies are mounted and which controllers
// they have.
func cgroups(h *Host) []Finding {
	layout, err := cgroupview.Detect(cgroupview.Root(h.Root))
	if err != nil {
		return fail("mount -t cgroup2 cgroup2 /sys/fs/cgroup", "%v", err)
	}
	v1, v2, err := h.controllers()
	if err != nil {
		return fail("", "%v", err)
	}
	var have, missing []string
	for _, c := range controllers {
		switch {
		case slices.Contains(v1, c.v1):
			have = append(have, c.v1)
		case slices.Contains(v2, c.v2):
			have = append(have, c.v2)
		default:
			missing = append(missing, c.v2)
		}
	}
	version := map[cgroupview.Mode]string{
		cgroupview.Legacy: "v1", cgroupview.Hybrid: "v1 beside v2 (hybrid)", cgroupview.Unified: "v2",
	}[layout.Mode()]
	if len(missing) > 0 {
		return warn("boot with the kernel parameter cgroup_enable="+strings.Join(missing, ",")+", or a kernel that has them",
			"%s without the controllers %s: containers can't be limited in these, and see the host's figures", version, strings.Join(missing, " "))
	}
	return ok("%s with %s", version, strings.Join(have, " "))
}

// controllers returns the controllers of the mounted hierarchies.
func (h *Host) controllers() (v1, v2 []string, err error) {
	f, err := os.Open(h.Root.Path("/proc/self/mountinfo"))
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	mounts, err := mountinfo.GetMountsFromReader(f, mountinfo.FSTypeFilter("cgroup", "cgroup2"))
	if err != nil {
		return nil, nil, err
	}
	for _, m := range mounts {
		if m.FSType == "cgroup" {
			v1 = append(v1, strings.Split(m.VFSOptions, ",")...)
			continue
		}
		names, err := h.read(m.Mountpoint + "/cgroup.controllers")
		if err != nil {
			return nil, nil, err
		}
		v2 = append(v2, strings.Fields(string(names))...)
	}
	return v1, v2, nil
}
