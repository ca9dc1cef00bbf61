package cgroupview_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cloister/cgroupview"
	"cloister/cgroupview/cgrouptest"
)

func TestDetect(t *testing.T) {
	for _, mode := range cgrouptest.Modes {
		h := cgrouptest.New(t, mode)
		if got := h.Layout().Mode(); got != mode {
			t.Errorf("mode %v, want %v", got, mode)
		}
	}
}

func TestDetectNamedHierarchyBesideV2(t *testing.T) {
	h := cgrouptest.New(t, cgroupview.Unified)
	h.Write("proc/self/mountinfo", "50 22 0:50 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"+
		"51 22 0:51 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n")
	if got := h.Layout().Mode(); got != cgroupview.Unified {
		t.Errorf("mode %v, want unified", got)
	}
}

func TestDetectWithoutCgroups(t *testing.T) {
	h := cgrouptest.New(t, cgroupview.Unified)
	h.Write("proc/self/mountinfo", "22 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n")
	if _, err := cgroupview.Detect(h.Root); !errors.Is(err, cgroupview.ErrNoCgroup) {
		t.Errorf("error %v, want ErrNoCgroup", err)
	}
}

// A daemon in a container sees a part of the tree, mounted twice here: the
// limits at the top of that part count, and paths are cut to it.
func TestOpenBelowPartialMount(t *testing.T) {
	h := cgrouptest.New(t, cgroupview.Unified)
	h.Cgroup("/outer").Update(func(v *cgrouptest.Values) { v.MemoryMax = 1 << 30 })
	h.Cgroup("/outer/inner").Update(func(v *cgrouptest.Values) { v.MemoryCurrent = 1 << 20 })
	h.Write("proc/self/mountinfo", "50 22 0:50 /outer /sys/fs/cgroup/outer rw - cgroup2 cgroup2 rw\n"+
		"51 22 0:50 /../.. /elsewhere rw - cgroup2 cgroup2 rw\n")
	g, err := h.Layout().Open(cgroupview.Paths{Unified: "/outer/inner"})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	var u cgroupview.Usage
	if err := g.Read(&u); err != nil {
		t.Fatal(err)
	}
	if u.Memory.Limit != 1<<30 || u.Memory.Usage != 1<<20 {
		t.Errorf("limit %d, usage %d, want 1 GiB, 1 MiB", u.Memory.Limit, u.Memory.Usage)
	}
	for _, path := range []string{"/other", "/outer/../other", "outer/inner", ""} {
		if g, err := h.Layout().Open(cgroupview.Paths{Unified: path}); err == nil {
			g.Close()
			t.Errorf("Open(%q) did not refuse a path outside the mount", path)
		}
	}
}

func TestPathsOf(t *testing.T) {
	for _, mode := range cgrouptest.Modes {
		h := cgrouptest.New(t, mode)
		c := h.Cgroup("/docker/abc")
		c.AddTask(cgrouptest.Task{TID: 100, Comm: "init"})
		got, err := h.Layout().PathsOf(100)
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		var stored cgroupview.Paths
		if err := json.Unmarshal(text, &stored); err != nil {
			t.Fatal(err)
		}
		if stored.V1 == nil {
			stored.V1 = map[string]string{}
		}
		if diff := cmp.Diff(c.Paths(), stored); diff != "" {
			t.Errorf("%v (-want +got):\n%s", mode, diff)
		}
	}
}

func TestPathsOfGone(t *testing.T) {
	h := cgrouptest.New(t, cgroupview.Unified)
	h.Write("proc/7/cgroup", "0::/docker/abc (deleted)\n")
	h.Write("proc/8/cgroup", "3:memory:/docker/abc (deleted)\n0::/\n")
	for _, pid := range []int{7, 8, 9} {
		if _, err := h.Layout().PathsOf(pid); !errors.Is(err, cgroupview.ErrGone) {
			t.Errorf("PathsOf(%d): %v, want ErrGone", pid, err)
		}
	}
	h.Write("proc/10/cgroup", "nonsense\n")
	if _, err := h.Layout().PathsOf(10); err == nil || errors.Is(err, cgroupview.ErrGone) {
		t.Errorf("PathsOf(10): %v, want a format error", err)
	}
}
