package emul

import (
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"cloister/cgroupview"
	"cloister/cgroupview/cgrouptest"
)

// Within a period all files come from the same sample, whatever has changed
// since.
func TestRenderSharesSample(t *testing.T) {
	r := newRig(t, cgroupview.Unified, nil)
	r.set(func(v *cgrouptest.Values) { v.MemoryMax, v.CPUs = 64*mib, "0-1" })
	before := r.read("proc/meminfo")
	r.cgroup.Update(func(v *cgrouptest.Values) { v.MemoryMax, v.CPUs = 128*mib, "0" })
	r.step(testPeriod - 1)
	if r.read("proc/meminfo") != before || r.read("sys/devices/system/cpu/online") != "0-1\n" {
		t.Error("a new sample was taken within the period")
	}
	r.step(1)
	if got := r.meminfo()["MemTotal"]; got != 128*kib || r.read("sys/devices/system/cpu/online") != "0\n" {
		t.Errorf("MemTotal %d after the period, want 131072", got)
	}
}

func TestRenderAppends(t *testing.T) {
	r := newRig(t, cgroupview.Unified, nil)
	for path, text := range readAll(t, r.c) {
		id, member, _ := lookUp(path)
		got, err := r.c.Render([]byte("before "), id, member)
		if want := "before " + text; err != nil || string(got) != want {
			t.Errorf("%s: %q, %v, want %q", path, got, err, want)
		}
	}
}

func TestRenderErrors(t *testing.T) {
	inModes(t, func(t *testing.T, r *rig) {
		id, _, _ := lookUp("proc/meminfo")
		r.fake.Write(r.cgroup.File("memory", "memory.stat"), "total_cache x\nfile x\n")
		r.step(testPeriod)
		if got, err := r.c.Render([]byte("x"), id, 0); !errors.Is(err, cgroupview.ErrFormat) || string(got) != "x" {
			t.Errorf("damaged file: %q, %v, want ErrFormat", got, err)
		}
		r.set(func(*cgrouptest.Values) {})
		if _, err := r.c.Render(nil, id, 0); err != nil {
			t.Errorf("file whole again: %v", err)
		}
		r.c.Close()
		r.c.Close()
		if _, err := r.c.Render(nil, id, 0); !errors.Is(err, os.ErrClosed) {
			t.Errorf("closed: %v, want ErrClosed", err)
		}
	})
}

func TestNewContainerGone(t *testing.T) {
	inModes(t, func(t *testing.T, r *rig) {
		g := r.cgroup.Open()
		r.cgroup.Remove()
		if _, err := r.host.NewContainer(ContainerConfig{Group: g, PID: initTask.TID}); !errors.Is(err, cgroupview.ErrGone) {
			t.Errorf("NewContainer: %v, want ErrGone", err)
		}
	})
}

func TestNewContainerWithoutInit(t *testing.T) {
	r := newRig(t, cgroupview.Unified, nil)
	if _, err := r.host.NewContainer(ContainerConfig{Group: r.cgroup.Open(), PID: 999}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("NewContainer: %v, want that its init does not exist", err)
	}
}

func TestNewHostRefuses(t *testing.T) {
	for file, text := range map[string]string{"proc/meminfo": "nonsense\n", "sys/devices/system/cpu/online": "x\n"} {
		fake := cgrouptest.New(t, cgroupview.Unified)
		fake.Write(file, text)
		if _, err := NewHost(HostOptions{Root: fake.Root}); !errors.Is(err, cgroupview.ErrFormat) {
			t.Errorf("%s: %v, want ErrFormat", file, err)
		}
		if err := os.Remove(fake.Root.Path(file)); err != nil {
			t.Fatal(err)
		}
		if _, err := NewHost(HostOptions{Root: fake.Root}); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: %v, want ErrNotExist", file, err)
		}
	}
}

// Readers, load samples, a change of the clock and Close at the same time.
func TestConcurrentUse(t *testing.T) {
	inModes(t, func(t *testing.T, r *rig) {
		other := r.container(ContainerConfig{PID: initTask.TID})
		ids := supported(t, r.host)
		var readers sync.WaitGroup
		for range 8 {
			readers.Go(func() {
				var buf []byte
				for i := range 500 {
					r.clock.advance(5 * time.Millisecond)
					for _, c := range []*Container{r.c, other} {
						var err error
						buf, err = c.Render(buf[:0], ids[i%len(ids)], 0)
						if err != nil && !errors.Is(err, ErrNoPressure) && (c == r.c || !errors.Is(err, os.ErrClosed)) {
							t.Error(err)
						}
						c.State()
					}
				}
			})
		}
		readers.Go(func() {
			for slot := range 40 {
				r.host.loads.sample(slot % loadSlots)
			}
			other.Close()
		})
		readers.Wait()
	})
}

// Descriptors of a container that nobody reads are given back, and its load is
// sampled on.
func TestIdleContainerIsParked(t *testing.T) {
	r := newRig(t, cgroupview.Unified, nil)
	opened := func() (n int) {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			target, _ := os.Readlink("/proc/self/fd/" + e.Name())
			if strings.HasPrefix(target, r.fake.Root.Path("sys/fs/cgroup")) {
				n++
			}
		}
		return n
	}
	active := opened()
	r.tickLoads(int(parkAfter/loadPeriod) + 2)
	if got := opened(); got != 0 || active < 10 {
		t.Errorf("%d descriptors when idle, want 0; %d when active", got, active)
	}
	r.read("proc/meminfo")
	if got := opened(); got != active {
		t.Errorf("%d descriptors when read again, want %d", got, active)
	}
}
