package cgroupview_test

import (
	"errors"
	"io"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"cloister/cgroupview"
	"cloister/cgroupview/cgrouptest"
)

// stalled returns a cgroup with pressure.
func stalled(h *cgrouptest.Host, path string) *cgrouptest.Cgroup {
	c := h.Cgroup(path)
	c.Update(func(v *cgrouptest.Values) {
		v.Pressure = map[string]string{
			"cpu": cgrouptest.Pressure(1), "memory": cgrouptest.Pressure(2), "io": cgrouptest.Pressure(3),
		}
	})
	return c
}

// wantPressure compares what Pressure returns; "" stands for none.
func wantPressure(t *testing.T, g *cgroupview.Group, resource, want string) {
	t.Helper()
	got, ok, err := g.Pressure([]byte("> "), resource)
	if err != nil || ok != (want != "") || string(got) != "> "+want {
		t.Errorf("%s: %q, %v, %v, want %q", resource, got, ok, err, want)
	}
}

func TestPressure(t *testing.T) {
	for _, mode := range []cgroupview.Mode{cgroupview.Hybrid, cgroupview.Unified} {
		t.Run(mode.String(), func(t *testing.T) {
			h := cgrouptest.New(t, mode)
			c := stalled(h, "/docker/abc")
			g := open(t, c)
			wantPressure(t, g, "cpu", cgrouptest.Pressure(1))
			wantPressure(t, g, "memory", cgrouptest.Pressure(2))
			wantPressure(t, g, "io", cgrouptest.Pressure(3))
			wantPressure(t, g, "irq", "")
			c.Update(func(v *cgrouptest.Values) { v.Pressure["memory"] = cgrouptest.Pressure(20) })
			wantPressure(t, g, "memory", cgrouptest.Pressure(20))
			g.Park()
			wantPressure(t, g, "memory", cgrouptest.Pressure(20))
			h.Write(c.PressureFile("memory"), "some avg10=0\n")
			if got, ok, err := g.Pressure(nil, "memory"); ok || !errors.Is(err, cgroupview.ErrFormat) || len(got) != 0 {
				t.Errorf("damaged file: %q, %v, %v, want ErrFormat", got, ok, err)
			}
			if _, _, err := g.Pressure(nil, "../cpu"); err == nil {
				t.Error("no error for an unknown resource")
			}
		})
	}
}

func TestPressureAbsent(t *testing.T) {
	elsewhere := func(c *cgrouptest.Cgroup, unified string) cgroupview.Paths {
		p := c.Paths()
		p.Unified = unified
		return p
	}
	tests := []struct {
		name  string
		mode  cgroupview.Mode
		paths func(h *cgrouptest.Host) cgroupview.Paths
	}{
		{"no cgroup2 tree", cgroupview.Legacy, func(h *cgrouptest.Host) cgroupview.Paths { return stalled(h, "/c").Paths() }},
		{"no PSI", cgroupview.Unified, func(h *cgrouptest.Host) cgroupview.Paths { return h.Cgroup("/c").Paths() }},
		{"root", cgroupview.Unified, func(*cgrouptest.Host) cgroupview.Paths { return cgroupview.Paths{Unified: "/"} }},
		{"root of the cgroup2 tree", cgroupview.Hybrid, func(h *cgrouptest.Host) cgroupview.Paths { return elsewhere(stalled(h, "/c"), "/") }},
		{"engine's cgroup in the cgroup2 tree", cgroupview.Hybrid, func(h *cgrouptest.Host) cgroupview.Paths {
			stalled(h, "/engine.service")
			return elsewhere(stalled(h, "/c"), "/engine.service")
		}},
		{"no cgroup in the cgroup2 tree", cgroupview.Hybrid, func(h *cgrouptest.Host) cgroupview.Paths { return elsewhere(h.Cgroup("/c"), "/c") }},
		{"path outside the cgroup2 tree", cgroupview.Hybrid, func(h *cgrouptest.Host) cgroupview.Paths { return elsewhere(stalled(h, "/c"), "/../c") }},
		{"no path in the cgroup2 tree", cgroupview.Hybrid, func(h *cgrouptest.Host) cgroupview.Paths { return elsewhere(stalled(h, "/c"), "") }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := cgrouptest.New(t, tt.mode)
			for _, resource := range []string{"cpu", "memory", "io"} {
				// Those of the root are the host's.
				h.Write("sys/fs/cgroup/"+resource+".pressure", cgrouptest.Pressure(777))
				h.Write("sys/fs/cgroup/unified/"+resource+".pressure", cgrouptest.Pressure(777))
			}
			g, err := h.Layout().Open(tt.paths(h))
			if err != nil {
				t.Fatal(err)
			}
			defer g.Close()
			for _, resource := range []string{"cpu", "memory", "io"} {
				wantPressure(t, g, resource, "")
				if f, err := g.OpenPressure(resource); !errors.Is(err, cgroupview.ErrAbsent) {
					t.Errorf("OpenPressure(%s): %v, %v, want ErrAbsent", resource, f, err)
				}
			}
		})
	}
}

// Kernels before 5.14 that are started with psi=0 have the files, but no content.
// A file of lo's that says the same stands in for them.
func TestPressureDisabled(t *testing.T) {
	const refuses = "/sys/class/net/lo/phys_port_id"
	if _, err := os.ReadFile(refuses); !errors.Is(err, unix.EOPNOTSUPP) {
		t.Skipf("needs a file that answers EOPNOTSUPP: %v", err)
	}
	h := cgrouptest.New(t, cgroupview.Unified)
	c := h.Cgroup("/c")
	if err := os.Symlink(refuses, h.Root.Path(c.PressureFile("cpu"))); err != nil {
		t.Fatal(err)
	}
	wantPressure(t, open(t, c), "cpu", "")
}

func TestPressureGone(t *testing.T) {
	for _, mode := range []cgroupview.Mode{cgroupview.Hybrid, cgroupview.Unified} {
		h := cgrouptest.New(t, mode)
		c := stalled(h, "/docker/abc")
		g := open(t, c)
		c.Remove()
		if _, ok, err := g.Pressure(nil, "cpu"); ok || !errors.Is(err, cgroupview.ErrGone) {
			t.Errorf("%v: Pressure: %v, %v, want ErrGone", mode, ok, err)
		}
		if f, err := g.OpenPressure("cpu"); !errors.Is(err, cgroupview.ErrGone) {
			t.Errorf("%v: OpenPressure: %v, %v, want ErrGone", mode, f, err)
		}
	}
}

// A cgroup of the cgroup2 tree is nothing to Read on a hybrid host.
func TestReadWithoutCgroup2(t *testing.T) {
	h := cgrouptest.New(t, cgroupview.Hybrid)
	c := stalled(h, "/c")
	g := open(t, c)
	if err := os.RemoveAll(h.Root.Path("sys/fs/cgroup/unified/c")); err != nil {
		t.Fatal(err)
	}
	read(t, g)
}

func TestOpenPressure(t *testing.T) {
	h := cgrouptest.New(t, cgroupview.Unified)
	c := stalled(h, "/c")
	g := open(t, c)
	f, err := g.OpenPressure("io")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const trigger = "some 150000 2000000\x00"
	if _, err := io.WriteString(f, trigger); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(h.Root.Path(c.PressureFile("io")))
	if err != nil || string(got[:len(trigger)]) != trigger {
		t.Errorf("the file holds %q, %v, want %q", got, err, trigger)
	}
	if _, err := g.OpenPressure("swap"); err == nil || errors.Is(err, cgroupview.ErrAbsent) {
		t.Errorf("unknown resource: %v", err)
	}
}

func TestPressureDoesNotAllocate(t *testing.T) {
	g := open(t, stalled(cgrouptest.New(t, cgroupview.Unified), "/c"))
	var dst []byte
	if n := testing.AllocsPerRun(100, func() {
		var err error
		if dst, _, err = g.Pressure(dst[:0], "memory"); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations per Pressure, want 0", n)
	}
}
