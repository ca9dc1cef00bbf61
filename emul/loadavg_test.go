package emul

import (
	"fmt"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"cloister/cgroupview"
	"cloister/cgroupview/cgrouptest"
)

// tickLoads lets n load periods pass and samples all containers in each.
func (r *rig) tickLoads(n int) {
	for range n {
		r.step(loadPeriod)
		for slot := range loadSlots {
			r.host.loads.sample(slot)
		}
	}
}

func TestLoadavgFirstRead(t *testing.T) {
	inModes(t, func(t *testing.T, r *rig) {
		if got, want := r.read("proc/loadavg"), "0.00 0.00 0.00 1/1 1\n"; got != want {
			t.Errorf("loadavg %q, want %q", got, want)
		}
	})
}

func TestLoadavg(t *testing.T) {
	inModes(t, func(t *testing.T, r *rig) {
		r.cgroup.AddTask(cgrouptest.Task{TID: 501, Comm: "run", State: 'R', NSpid: []int{7}})
		r.cgroup.AddTask(cgrouptest.Task{TID: 502, Comm: "disk", State: 'D', NSpid: []int{8}})
		r.cgroup.AddTask(cgrouptest.Task{TID: 503, Comm: "dead", State: 'Z', NSpid: []int{9}})
		r.tickLoads(12)
		// 2 · (1 - 1/e) and so on, a little more for the kernel's rounding.
		if got, want := r.read("proc/loadavg"), "1.27 0.37 0.13 1/4 9\n"; got != want {
			t.Errorf("after a minute %q, want %q", got, want)
		}
		stat := r.read("proc/stat")
		if running, blocked := statLine(t, stat, "procs_running")[0], statLine(t, stat, "procs_blocked")[0]; running != 1 || blocked != 1 {
			t.Errorf("procs_running %d, procs_blocked %d, want 1, 1", running, blocked)
		}
		r.tickLoads(12 * 60)
		if got, want := r.read("proc/loadavg"), "2.00 2.00 2.00 1/4 9\n"; got != want {
			t.Errorf("after an hour %q, want %q", got, want)
		}
	})
}

// Tasks count wherever they are below the container's cgroup.
func TestLoadavgDeepCgroups(t *testing.T) {
	inModes(t, func(t *testing.T, r *rig) {
		deep := r.fake.Cgroup("/ct/x/1/2/3/4/5")
		deep.AddTask(cgrouptest.Task{TID: 600, Comm: "run", State: 'R', NSpid: []int{20}})
		deep.AddTask(cgrouptest.Task{TID: 601, Comm: "run", State: 'R', NSpid: []int{21}})
		r.cgroup.Update(func(v *cgrouptest.Values) { v.Tasks = nil })
		r.fake.Write(r.cgroup.File("pids", "pids.current"), "3\n")
		r.tickLoads(1)
		if got, want := r.read("proc/loadavg"), "0.16 0.03 0.01 2/3 21\n"; got != want {
			t.Errorf("loadavg %q, want %q", got, want)
		}
	})
}

func TestLoadavgLastPID(t *testing.T) {
	r := newRig(t, cgroupview.Unified, nil)
	last := func() (pid, forks uint64) {
		t.Helper()
		r.tickLoads(1)
		var n uint64
		if _, err := fmt.Sscanf(r.read("proc/loadavg"), "0.00 0.00 0.00 1/%d %d", &n, &pid); err != nil {
			t.Fatal(err)
		}
		return pid, statLine(t, r.read("proc/stat"), "processes")[0]
	}
	r.cgroup.AddTask(cgrouptest.Task{TID: 700, Comm: "sh", NSpid: []int{30}})
	if pid, forks := last(); pid != 30 || forks != 30 {
		t.Errorf("last pid %d, processes %d, want 30", pid, forks)
	}
	// A nested container: its task has one id more, and that one is not ours.
	r.cgroup.AddTask(cgrouptest.Task{TID: 701, Comm: "nested", NSpid: []int{31, 1}})
	if pid, _ := last(); pid != 31 {
		t.Errorf("last pid %d, want 31, the id in the container's namespace", pid)
	}
	// A process of the host in the container's cgroup has no id there.
	r.cgroup.AddTask(cgrouptest.Task{TID: 702, Comm: "host"})
	if pid, _ := last(); pid != 31 {
		t.Errorf("last pid %d, want 31 still", pid)
	}
	// Tasks have ended; neither figure goes back.
	r.cgroup.Update(func(v *cgrouptest.Values) { v.Tasks = []int{500} })
	if pid, forks := last(); pid != 31 || forks != 31 {
		t.Errorf("last pid %d, processes %d, want 31 still", pid, forks)
	}
}

// A container in the host's pid namespace, where ids say nothing about forks.
func TestLoadavgHostPIDNamespace(t *testing.T) {
	r := newRig(t, cgroupview.Unified, func(r *rig) {
		r.cgroup.SetTask(cgrouptest.Task{TID: 500, Comm: "init", Start: start})
	})
	if got, want := r.read("proc/loadavg"), "0.00 0.00 0.00 1/1 500\n"; got != want {
		t.Errorf("loadavg %q, want %q", got, want)
	}
	if got := statLine(t, r.read("proc/stat"), "processes")[0]; got != 1 {
		t.Errorf("processes %d, want 1", got)
	}
}

// Of a container with more tasks than its share, the first stand for the rest.
func TestLoadavgBounded(t *testing.T) {
	r := newRig(t, cgroupview.Unified, nil)
	for tid := 501; tid <= 540; tid++ {
		r.cgroup.AddTask(cgrouptest.Task{TID: tid, Comm: "run", State: 'R', NSpid: []int{tid - 499}})
	}
	r.step(loadPeriod)
	r.read("proc/loadavg")
	if err := r.c.count(r.clock.now(), new(taskScratch), 10); err != nil {
		t.Fatal(err)
	}
	got := r.c.view.load.taskCount
	if want := (taskCount{running: 36, total: 41, lastPID: 10}); got != want { // 9 of the first 10 run
		t.Errorf("count %+v, want %+v", got, want)
	}
}

func TestLoadPeriods(t *testing.T) {
	one := taskCount{running: 1, total: 1}
	after := func(times ...time.Duration) loadAvg {
		var l loadAvg
		for _, at := range times {
			l.update(at, one)
		}
		return l
	}
	for _, tt := range []struct {
		name  string
		times []time.Duration
		want  int
	}{
		{"early", []time.Duration{2 * time.Second}, 0},
		{"in time", []time.Duration{5 * time.Second}, 1},
		{"jitter", []time.Duration{4900 * time.Millisecond, 10100 * time.Millisecond, 14900 * time.Millisecond}, 3},
		{"out of phase", []time.Duration{2 * time.Second, 7 * time.Second, 12 * time.Second}, 2},
		{"late", []time.Duration{31 * time.Second}, 6},
		{"suspended", []time.Duration{24 * time.Hour}, 12},
		{"backwards", []time.Duration{5 * time.Second, 0}, 1},
	} {
		var want loadAvg
		for i := range tt.want {
			want.update(time.Duration(i+1)*loadPeriod, one)
		}
		if got := after(tt.times...); got.Avenrun != want.Avenrun {
			t.Errorf("%s: %v, want %v", tt.name, got.Avenrun, want.Avenrun)
		}
	}
}

// The averages are those of the kernel's formula: exponential ones, to the
// precision of their fixed point.
func TestLoadFormula(t *testing.T) {
	var l loadAvg
	for i := range 200 {
		l.update(time.Duration(i+1)*loadPeriod, taskCount{running: 3, total: 3})
	}
	for i, minutes := range []float64{1, 5, 15} {
		want := 3 * (1 - math.Exp(-200*5/(60*minutes)))
		if got := float64(l.Avenrun[i]) / loadOne; math.Abs(got-want) > 0.02 {
			t.Errorf("%v minutes: %.3f, want %.3f", minutes, got, want)
		}
	}
}

// The goroutine samples each container once per period, and ends with the host.
func TestLoadSampler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		fake := cgrouptest.New(t, cgroupview.Unified)
		cgroup := fake.Cgroup("/x")
		cgroup.AddTask(cgrouptest.Task{TID: 500, Comm: "run", State: 'R', NSpid: []int{1}})
		host, err := NewHost(HostOptions{Root: fake.Root, Clock: func() time.Duration { return time.Since(begin) }})
		if err != nil {
			t.Fatal(err)
		}
		var containers []*Container
		for range 25 {
			c, err := host.NewContainer(ContainerConfig{Group: cgroup.Open(), PID: 500})
			if err != nil {
				t.Fatal(err)
			}
			containers = append(containers, c)
		}
		containers[0].Close()
		// A minute of the bubble's time, and enough for every container's turn.
		<-time.After(time.Minute + 2250*time.Millisecond)
		synctest.Wait()
		for i, c := range containers[1:] {
			if got, want := readFile(t, c, "proc/loadavg"), "0.63 0.18 0.06 1/1 1\n"; got != want {
				t.Errorf("container %d: loadavg %q, want %q", i, got, want)
			}
			c.Close()
		}
		host.Close()
	})
}
