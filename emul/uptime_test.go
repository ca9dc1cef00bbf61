package emul

import (
	"testing"
	"time"

	"cloister/cgroupview"
	"cloister/cgroupview/cgrouptest"
)

func TestUptime(t *testing.T) {
	inModes(t, func(t *testing.T, r *rig) {
		if got, want := r.read("proc/uptime"), "0.00 0.00\n"; got != want {
			t.Errorf("at the start %q, want %q", got, want)
		}
		r.cgroup.Update(busy(500, 250))
		r.step(12345678 * time.Microsecond)
		// 4 CPUs for 12.345678 s, less 7.5 s in use.
		if got, want := r.read("proc/uptime"), "12.34 41.88\n"; got != want {
			t.Errorf("later %q, want %q", got, want)
		}
	})
}

// The uptime is that of now, not of the sample.
func TestUptimeBetweenSamples(t *testing.T) {
	r := newRig(t, cgroupview.Unified, nil)
	r.step(time.Second)
	r.read("proc/uptime")
	r.step(10 * time.Millisecond)
	if got, want := r.read("proc/uptime"), "1.01 4.00\n"; got != want {
		t.Errorf("uptime %q, want %q", got, want)
	}
}

// Half a CPU shows as a whole one here, idle half of the time when the quota is
// used in full.
func TestUptimeFractionalQuota(t *testing.T) {
	r := newRig(t, cgroupview.Unified, func(r *rig) {
		r.cgroup.Update(func(v *cgrouptest.Values) { v.Bandwidth = cgroupview.Bandwidth{Quota: 50000, Period: 100000} })
	})
	r.cgroup.Update(busy(500, 0))
	r.step(10 * time.Second)
	if got, want := r.read("proc/uptime"), "10.00 5.00\n"; got != want {
		t.Errorf("uptime %q, want %q", got, want)
	}
}

func TestUptimeInTimeNamespace(t *testing.T) {
	for _, tt := range []struct {
		offset time.Duration
		want   string
	}{
		{0, "1010.00 4040.00\n"}, // as the host's, on 4 CPUs
		{-start, "10.00 40.00\n"},
		{-start + 5*time.Second, "15.00 60.00\n"}, // joined a namespace that is 5 s older
		{-2 * start, "0.00 40.00\n"},
	} {
		r := newRig(t, cgroupview.Unified, nil)
		c := r.container(ContainerConfig{PID: initTask.TID, TimeNamespace: true, BootOffset: tt.offset})
		r.step(10 * time.Second)
		if got := readFile(t, c, "proc/uptime"); got != tt.want {
			t.Errorf("offset %v: uptime %q, want %q", tt.offset, got, tt.want)
		}
	}
}

// The start of a container is that of its init if it is not told, whatever the
// name of that process holds.
func TestUptimeFromInit(t *testing.T) {
	r := newRig(t, cgroupview.Unified, nil)
	for _, comm := range []string{"sh", "a b", "a) R 1 (b", "x\ny)"} {
		r.cgroup.SetTask(cgrouptest.Task{TID: 600, Comm: comm, Start: 990 * time.Second})
		c := r.container(ContainerConfig{PID: 600})
		if got, want := readFile(t, c, "proc/uptime"), "10.00 40.00\n"; got != want {
			t.Errorf("comm %q: uptime %q, want %q", comm, got, want)
		}
	}
}
