package cgroupview_test

import (
	"errors"
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cloister/cgroupview"
	"cloister/cgroupview/cgrouptest"
)

const (
	mib     = uint64(1) << 20
	noLimit = cgroupview.NoLimit
)

// inModes runs a test on a fresh host of each mode.
func inModes(t *testing.T, test func(t *testing.T, h *cgrouptest.Host)) {
	for _, mode := range cgrouptest.Modes {
		t.Run(mode.String(), func(t *testing.T) { test(t, cgrouptest.New(t, mode)) })
	}
}

func read(t *testing.T, g *cgroupview.Group) cgroupview.Usage {
	t.Helper()
	var u cgroupview.Usage
	if err := g.Read(&u); err != nil {
		t.Fatal(err)
	}
	return u
}

func open(t *testing.T, c *cgrouptest.Cgroup) *cgroupview.Group {
	t.Helper()
	g := c.Open()
	t.Cleanup(g.Close)
	return g
}

func TestReadBandwidth(t *testing.T) {
	half, one, none := cgroupview.Bandwidth{Quota: 25000, Period: 50000}, cgroupview.Bandwidth{Quota: 100000, Period: 100000}, cgroupview.Bandwidth{}
	inModes(t, func(t *testing.T, h *cgrouptest.Host) {
		parent, own := h.Cgroup("/p"), h.Cgroup("/p/own")
		g := open(t, own)
		for _, tt := range []struct{ parent, own, want cgroupview.Bandwidth }{
			{none, none, none},
			{none, half, half},
			{half, none, half},
			{half, one, half},
			{one, half, half},
		} {
			parent.Update(func(v *cgrouptest.Values) { v.Bandwidth = tt.parent })
			own.Update(func(v *cgrouptest.Values) { v.Bandwidth = tt.own })
			if got := read(t, g).Bandwidth; got != tt.want {
				t.Errorf("parent %v, own %v: bandwidth %v, want %v", tt.parent, tt.own, got, tt.want)
			}
		}
	})
}

func TestReadSets(t *testing.T) {
	sets := []struct {
		name, v1, v2, root string
		values             func(*cgrouptest.Values) *string
		usage              func(*cgroupview.Usage) cgroupview.CPUSet
	}{
		{
			"CPUs", "cpuset.effective_cpus", "cpuset.cpus.effective", "0-3",
			func(v *cgrouptest.Values) *string { return &v.CPUs },
			func(u *cgroupview.Usage) cgroupview.CPUSet { return u.CPUs },
		},
		{
			"Mems", "cpuset.effective_mems", "cpuset.mems.effective", "0-1",
			func(v *cgrouptest.Values) *string { return &v.Mems },
			func(u *cgroupview.Usage) cgroupview.CPUSet { return u.Mems },
		},
	}
	inModes(t, func(t *testing.T, h *cgrouptest.Host) {
		for _, set := range sets {
			parent, own := h.Cgroup("/"+set.name), h.Cgroup("/"+set.name+"/own")
			check := func(when, want string) {
				t.Helper()
				u := read(t, open(t, own))
				if got := set.usage(&u).String(); got != want {
					t.Errorf("%s, %s: %s, want %s", set.name, when, got, want)
				}
			}
			parent.Update(func(v *cgrouptest.Values) { *set.values(v) = "1-2" })
			own.Update(func(v *cgrouptest.Values) { *set.values(v) = "1" })
			check("own set", "1")
			own.Update(func(v *cgrouptest.Values) { *set.values(v) = "" })
			check("own set empty", "1-2")
			file := set.v1
			if h.Mode == cgroupview.Unified {
				file = set.v2
			}
			for _, c := range []*cgrouptest.Cgroup{own, parent} {
				if err := os.Remove(h.Root.Path(c.File("cpuset", file))); err != nil {
					t.Fatal(err)
				}
			}
			check("controller off", set.root)
		}
	})
}

func TestReadCPUTimeAndIO(t *testing.T) {
	inModes(t, func(t *testing.T, h *cgrouptest.Host) {
		c := h.Cgroup("/c")
		perCPU := []cgroupview.CPUTime{{User: 1e6, System: 2e6}, {}, {User: 3e6}, {}}
		io := []cgroupview.DeviceIO{{Major: 259, RBytes: 4096, RIOs: 1, WBytes: 8192, WIOs: 2, DBytes: 512, DIOs: 3}}
		c.Update(func(v *cgrouptest.Values) { v.CPUTime, v.IO, v.Tasks = perCPU, io, []int{5, 6, 7} })
		u := read(t, open(t, c))
		if want := (cgroupview.CPUTime{User: 4e6, System: 2e6}); !u.CPUTimeOwn || u.CPUTime != want {
			t.Errorf("CPU time %v, %v, want %v", u.CPUTimeOwn, u.CPUTime, want)
		}
		if h.Mode == cgroupview.Unified {
			perCPU = nil
		}
		if !slices.Equal(u.PerCPU, perCPU) {
			t.Errorf("per CPU %v, want %v", u.PerCPU, perCPU)
		}
		if diff := cmp.Diff(io, u.IO); !u.IOOwn || diff != "" {
			t.Errorf("io %v (-want +got):\n%s", u.IOOwn, diff)
		}
		if !u.PidsOwn || u.Pids != 3 {
			t.Errorf("pids %v %d, want 3", u.PidsOwn, u.Pids)
		}
	})
}

// With a controller off in the cgroup, an ancestor's limit holds, and the
// ancestor's usage, which is the siblings' too, is not reported as ours.
func TestReadControllerOff(t *testing.T) {
	h := cgrouptest.New(t, cgroupview.Unified)
	h.Cgroup("/p").Update(func(v *cgrouptest.Values) { v.MemoryMax, v.MemoryCurrent = 100*mib, 30*mib })
	own := h.Cgroup("/p/own")
	entries, err := os.ReadDir(h.Root.Path(own.File("", "")))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if name := e.Name(); name[:4] == "memo" || name[:3] == "io." || name[:4] == "pids" {
			if err := os.Remove(h.Root.Path(own.File("", name))); err != nil {
				t.Fatal(err)
			}
		}
	}
	u := read(t, open(t, own))
	want := cgroupview.Account{Present: true, Limit: 100 * mib, Headroom: 70 * mib}
	if diff := cmp.Diff(want, u.Memory.Account); diff != "" {
		t.Errorf("memory (-want +got):\n%s", diff)
	}
	if u.IOOwn || u.PidsOwn {
		t.Errorf("io %v, pids %v, want neither", u.IOOwn, u.PidsOwn)
	}
}

// The root of a hierarchy is the host: its usage belongs to nobody in
// particular.
func TestReadRoot(t *testing.T) {
	inModes(t, func(t *testing.T, h *cgrouptest.Host) {
		p := cgroupview.Paths{Unified: "/", V1: map[string]string{
			"memory": "/", "cpu": "/", "cpuacct": "/", "cpuset": "/", "blkio": "/", "pids": "/",
		}}
		g, err := h.Layout().Open(p)
		if err != nil {
			t.Fatal(err)
		}
		defer g.Close()
		u := read(t, g)
		if u.Memory.Present || u.CPUTimeOwn || u.PidsOwn || u.IOOwn || u.Bandwidth.Limited() {
			t.Errorf("usage of the root: %+v", u)
		}
		if u.CPUs.String() != "0-3" || u.Mems.String() != "0-1" {
			t.Errorf("CPUs %v, memory nodes %v, want 0-3, 0-1", u.CPUs, u.Mems)
		}
		if _, _, err := g.Tasks(nil, 10); !errors.Is(err, cgroupview.ErrNoCgroup) {
			t.Errorf("Tasks: %v, want ErrNoCgroup", err)
		}
	})
}

func TestReadGone(t *testing.T) {
	inModes(t, func(t *testing.T, h *cgrouptest.Host) {
		c := h.Cgroup("/p/own")
		g := open(t, c)
		c.Remove()
		if err := g.Read(&cgroupview.Usage{}); !errors.Is(err, cgroupview.ErrGone) {
			t.Errorf("Read: %v, want ErrGone", err)
		}
		if _, _, err := g.Tasks(nil, 10); !errors.Is(err, cgroupview.ErrGone) {
			t.Errorf("Tasks: %v, want ErrGone", err)
		}
		if _, err := h.Layout().Open(c.Paths()); !errors.Is(err, cgroupview.ErrGone) {
			t.Errorf("Open: %v, want ErrGone", err)
		}
	})
}

func TestReadDamagedFile(t *testing.T) {
	inModes(t, func(t *testing.T, h *cgrouptest.Host) {
		c := h.Cgroup("/c")
		h.Write(c.File("memory", "memory.stat"), "file x\ntotal_cache x\n")
		if err := open(t, c).Read(&cgroupview.Usage{}); !errors.Is(err, cgroupview.ErrFormat) {
			t.Errorf("Read: %v, want ErrFormat", err)
		}
	})
}

func TestReadAgainAfterPark(t *testing.T) {
	inModes(t, func(t *testing.T, h *cgrouptest.Host) {
		c := h.Cgroup("/c")
		g := open(t, c)
		before := read(t, g)
		if n := g.OpenFiles(); n < 10 {
			t.Errorf("%d descriptors after a read, want more", n)
		}
		if g.Park(); g.OpenFiles() != 0 {
			t.Errorf("%d descriptors after Park, want 0", g.OpenFiles())
		}
		if diff := cmp.Diff(before, read(t, g), cmp.AllowUnexported(cgroupview.CPUSet{})); diff != "" {
			t.Errorf("after Park (-before +after):\n%s", diff)
		}
	})
}

// Another cgroup that takes the name of one that was closed meanwhile is not read.
func TestReadAnotherOfTheSameName(t *testing.T) {
	inModes(t, func(t *testing.T, h *cgrouptest.Host) {
		c := h.Cgroup("/p/own")
		g, kept := open(t, c), open(t, c) // which keeps the numbers from being used again
		read(t, kept)
		g.Park()
		c.Remove()
		again := h.Cgroup("/p/own")
		if err := g.Read(&cgroupview.Usage{}); !errors.Is(err, cgroupview.ErrGone) {
			t.Errorf("Read: %v, want ErrGone", err)
		}
		if _, _, err := g.Tasks(nil, 10); !errors.Is(err, cgroupview.ErrGone) {
			t.Errorf("Tasks: %v, want ErrGone", err)
		}
		if _, _, err := g.Pressure(nil, "cpu"); h.Layout().Mode() == cgroupview.Unified && !errors.Is(err, cgroupview.ErrGone) {
			t.Errorf("Pressure: %v, want ErrGone", err)
		}
		read(t, open(t, again))
	})
}

func TestReadDoesNotAllocate(t *testing.T) {
	inModes(t, func(t *testing.T, h *cgrouptest.Host) {
		c := h.Cgroup("/a/b/c/d/e/f/g")
		c.Update(func(v *cgrouptest.Values) { v.IO = []cgroupview.DeviceIO{{Major: 8, RBytes: 1}} })
		g := open(t, c)
		var u cgroupview.Usage
		if n := testing.AllocsPerRun(100, func() {
			if err := g.Read(&u); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%v allocations per Read, want 0", n)
		}
	})
}

func TestTasks(t *testing.T) {
	inModes(t, func(t *testing.T, h *cgrouptest.Host) {
		c := h.Cgroup("/c")
		g := open(t, c)
		if ok, err := g.Populated(); ok || err != nil {
			t.Errorf("Populated() = %v, %v, want false", ok, err)
		}
		h.Cgroup("/c/a/b/c/d/e").Update(func(v *cgrouptest.Values) { v.Tasks = []int{5, 6} })
		if ok, err := g.Populated(); !ok || err != nil {
			t.Errorf("Populated() = %v, %v, want true: there are tasks five levels down", ok, err)
		}
		c.Update(func(v *cgrouptest.Values) { v.Tasks = []int{1, 2, 3} })
		got, all, err := g.Tasks(nil, 100)
		if want := []int{1, 2, 3, 5, 6}; err != nil || !all || !slices.Equal(got, want) {
			t.Errorf("Tasks(100) = %v, %v, %v, want all of %v", got, all, err, want)
		}
		got, all, err = g.Tasks([]int{0}, 2)
		if want := []int{0, 1, 2}; err != nil || all || !slices.Equal(got, want) {
			t.Errorf("Tasks(2) = %v, %v, %v, want %v and not all", got, all, err, want)
		}
		// Five tasks, but six cgroups.
		got, all, err = g.Tasks(nil, 5)
		if want := []int{1, 2, 3}; err != nil || all || !slices.Equal(got, want) {
			t.Errorf("Tasks(5) = %v, %v, %v, want %v and not all", got, all, err, want)
		}
	})
}

func BenchmarkRead(b *testing.B) {
	for _, mode := range []cgroupview.Mode{cgroupview.Legacy, cgroupview.Unified} {
		for name, path := range map[string]string{"depth1": "/a", "depth7": "/a/b/c/d/e/f/g"} {
			b.Run(mode.String()+"/"+name, func(b *testing.B) {
				g := cgrouptest.New(b, mode).Cgroup(path).Open()
				defer g.Close()
				var u cgroupview.Usage
				b.ReportAllocs()
				for b.Loop() {
					if err := g.Read(&u); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
