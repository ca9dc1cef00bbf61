package emul

import (
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"cloister/cgroupview"
	"cloister/cgroupview/cgrouptest"
)

// online is what the container's view has, without a sample being taken.
func online(c *Container) string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return fmt.Sprint(c.view.cpus.visible, " of ", c.view.cpus.physical, " on ", c.view.nodes)
}

// Nobody reads, and the clock stands still.
func TestChangesAreNoticed(t *testing.T) {
	inModes(t, func(t *testing.T, r *rig) {
		n := cgrouptest.NewNotices()
		c := r.container(ContainerConfig{PID: initTask.TID, Changed: n.Call})
		if err := c.Unwatched(); err != nil {
			t.Fatal(err)
		}
		above := r.fake.Cgroup("/ct")
		for _, tt := range []struct {
			cgroup *cgrouptest.Cgroup
			set    func(*cgrouptest.Values)
			want   string
		}{
			{r.cgroup, func(v *cgrouptest.Values) { v.Bandwidth = cgroupview.Bandwidth{Quota: 250000, Period: 100000} }, "3 of 0-3 on 0-1"},
			{above, func(v *cgrouptest.Values) { v.Bandwidth = cgroupview.Bandwidth{Quota: 150000, Period: 100000} }, "2 of 0-3 on 0-1"},
			{above, func(v *cgrouptest.Values) { v.Bandwidth.Quota = 400000 }, "3 of 0-3 on 0-1"},
		} {
			tt.cgroup.Update(tt.set)
			n.Until(t, tt.want, func() bool { return online(c) == tt.want })
		}
		// The kernel changes the effective set when another file is written.
		r.cgroup.Update(func(v *cgrouptest.Values) { v.CPUs, v.Mems = "1-2", "1" })
		r.fake.Write(r.cgroup.File("cpuset", "cpuset.cpus"), "1-2\n")
		n.Until(t, "CPUs", func() bool { return online(c) == "2 of 1-2 on 1" })
	})
}

// A change of the host's shows in all containers, though nothing was written below
// them.
func TestHostChangesAreNoticed(t *testing.T) {
	for name, change := range map[string]func(r *rig){
		"online": func(r *rig) { r.fake.Write(cpuDir+"/online", "0-2\n") },
		"nodes":  func(r *rig) { r.fake.Write(nodeDir+"/online", "0-2\n") },
		"partition": func(r *rig) {
			r.fake.Write("sys/fs/cgroup/cpuset.cpus.effective", "0-1\n")
			r.fake.Write("sys/fs/cgroup/ct/x/cpuset.cpus.effective", "0-1\n")
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, cgroupview.Unified, nil)
			var all []cgrouptest.Notices
			for range 3 {
				n := cgrouptest.NewNotices()
				c := r.container(ContainerConfig{PID: initTask.TID, Changed: n.Call})
				c.watch.Close() // what is written in the fake cgroup is an event
				all = append(all, n)
			}
			r.host.resampler.checkHost()
			r.host.resampler.mu.Lock()
			if due := len(r.host.resampler.due); due > 0 {
				t.Errorf("%d containers are sampled on a host that is as it was", due)
			}
			r.host.resampler.mu.Unlock()
			change(r)
			r.step(testPeriod)
			r.host.resampler.checkHost()
			for _, n := range all {
				select {
				case <-n:
				case <-time.After(30 * time.Second):
					t.Fatal("not noticed")
				}
			}
		})
	}
}

// A container that the kernel has no watches for, and one whose cgroup could not be read
// when it had changed, are sampled with each tick.
func TestPolledContainers(t *testing.T) {
	r := newRig(t, cgroupview.Unified, nil)
	n := cgrouptest.NewNotices()
	c := r.onlyRead(n.Call, nil)
	s := r.host.resampler
	s.mu.Lock()
	s.containers[c] = struct{}{}
	s.mu.Unlock()
	polled := func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		_, ok := s.polled[c]
		return ok
	}
	r.fake.Write(r.cgroup.File("cpu", "cpu.max"), "x\n")
	if s.sampled(c, c.resample()); !polled() {
		t.Error("a container that could not be read is not tried again")
	}
	r.fake.Write(r.cgroup.File("cpu", "cpu.max"), "100000 100000\n")
	if s.poll(); polled() || online(c) != "1 of 0-3 on 0-1" || len(n) == 0 {
		t.Errorf("polled %v, view %s, want that it has been noticed", polled(), online(c))
	}
	c.unwatched = errors.New("none left")
	if s.sampled(c, c.resample()); !polled() {
		t.Error("a container that is not watched is not tried again")
	}
	c.Close()
	if s.sampled(c, os.ErrClosed); polled() {
		t.Error("a closed container is tried again")
	}
}

// Limits are written, containers come and go, and cgroups are removed, all at once.
func TestResamplerConcurrentUse(t *testing.T) {
	r := newRig(t, cgroupview.Unified, nil)
	r.cgroup.Update(func(v *cgrouptest.Values) { v.Bandwidth = cgroupview.Bandwidth{Quota: 100000, Period: 100000} })
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 200 {
			r.cgroup.Update(func(v *cgrouptest.Values) { v.Bandwidth.Quota = uint64(100000 * (1 + i%4)) })
			r.host.resampler.sampleAll()
		}
	}()
	for range 50 {
		g := r.cgroup.Open()
		c, err := r.host.NewContainer(ContainerConfig{Group: g, PID: initTask.TID, Changed: func() {}})
		if errors.Is(err, cgroupview.ErrFormat) { // an ordinary file is empty for a moment
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		_, _ = c.Render(nil, 0, 0)
		c.Close()
	}
	<-done
}

// BenchmarkNewContainer has a thousand others beside, with or without being told of
// changes.
func BenchmarkNewContainer(b *testing.B) {
	for name, changed := range map[string]func(){"unwatched": nil, "watched": func() {}} {
		b.Run(name, func(b *testing.B) {
			r := newRig(b, cgroupview.Unified, nil)
			for range 1000 {
				r.container(ContainerConfig{PID: initTask.TID, Changed: changed})
			}
			b.ReportAllocs()
			for b.Loop() {
				c, err := r.host.NewContainer(ContainerConfig{Group: r.cgroup.Open(), PID: initTask.TID, Changed: changed})
				if err != nil {
					b.Fatal(err)
				}
				c.Close()
			}
		})
	}
}
