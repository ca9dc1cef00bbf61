package emul

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"cloister/cgroupview"
	"cloister/cgroupview/cgrouptest"
)

// restart returns the container as another daemon would make it, from its state
// as JSON.
func (r *rig) restart(c *Container) *Container {
	r.tb.Helper()
	text, err := json.Marshal(c.State())
	if err != nil {
		r.tb.Fatal(err)
	}
	c.Close()
	var s State
	if err := json.Unmarshal(text, &s); err != nil {
		r.tb.Fatal(err)
	}
	return r.container(ContainerConfig{PID: initTask.TID, State: &s})
}

func TestStateCarriesOn(t *testing.T) {
	inModes(t, func(t *testing.T, r *rig) {
		r.cgroup.AddTask(cgrouptest.Task{TID: 501, Comm: "run", State: 'R', NSpid: []int{40}})
		r.cgroup.Update(busy(100, 10))
		r.tickLoads(12)
		r.cgroup.Update(func(v *cgrouptest.Values) { v.Tasks = []int{500} })
		files := []string{"proc/stat", "proc/uptime", "proc/loadavg"}
		before := map[string]string{}
		for _, f := range files {
			before[f] = r.read(f)
		}
		again := r.restart(r.c)
		for _, f := range files {
			if got := readFile(t, again, f); got != before[f] {
				t.Errorf("%s after the restart %q, want %q", f, got, before[f])
			}
		}
		// The rows of a v1 container are still those of its CPUs.
		r.cgroup.Update(busy(200, 10))
		r.step(2 * time.Second)
		rows := statCPUs(t, readFile(t, again, "proc/stat"))
		if got := rows[0][0]; got != 200 {
			t.Errorf("user %d, want 200", got)
		}
		if r.fake.Mode != cgroupview.Unified && rows[1][0] != 200 {
			t.Errorf("user of cpu0 %d, want 200", rows[1][0])
		}
	})
}

// A state from before the host was booted says nothing.
func TestStateOfEarlierBoot(t *testing.T) {
	r := newRig(t, cgroupview.Unified, nil)
	s := State{CPU: cpuClock{At: time.Hour, Rows: []cpuRow{{User: 1e12}}}, Load: loadAvg{At: time.Hour, LastPID: 99}}
	c := r.container(ContainerConfig{PID: initTask.TID, State: &s})
	if got := statCPUs(t, readFile(t, c, "proc/stat"))[0][0]; got != 0 {
		t.Errorf("user %d, want 0", got)
	}
	if got, want := readFile(t, c, "proc/loadavg"), "0.00 0.00 0.00 1/1 1\n"; got != want {
		t.Errorf("loadavg %q, want %q", got, want)
	}
}

// A daemon that is killed has stored the counters when the limits changed, and not since.
func TestKilledDaemon(t *testing.T) {
	for seed := range uint64(4) {
		for _, mode := range cgrouptest.Modes {
			t.Run(fmt.Sprintf("%v/%d", mode, seed), func(t *testing.T) {
				t.Parallel()
				newWorld(t, mode, seed).runKilled(300)
			})
		}
	}
}

func (w *world) runKilled(steps int) {
	changed := true
	w.c = w.resume(w.c.State(), &changed)
	var stored State
	for step := range steps {
		if w.rnd.IntN(5) == 0 {
			w.levels[w.rnd.IntN(len(w.levels))].Update(w.changeLimits)
			w.clock.advance(testPeriod)
			w.checkCPUTimes()
		}
		w.work()
		w.checkCPUTimes()
		if changed {
			stored, changed = w.c.State(), false
		}
		if w.rnd.IntN(10) == 0 {
			w.c.Close()
			w.cgroup.Update(func(v *cgrouptest.Values) {
				v.Bandwidth = cgroupview.Bandwidth{Quota: 1000 + w.rnd.Uint64N(500000), Period: 100000}
			})
			w.work()
			w.c = w.resume(stored, &changed)
			w.checkCPUTimes()
		}
		if w.t.Failed() {
			w.t.Fatalf("after step %d", step)
		}
	}
}

// work lets time pass, in which the container uses some of what it may, on the CPUs
// that it may run on.
func (w *world) work() {
	w.t.Helper()
	g := w.cgroup.Open()
	defer g.Close()
	var u cgroupview.Usage
	if err := g.Read(&u); err != nil {
		w.t.Fatal(err)
	}
	cpus := newCPUs(w.c.view.host.online, &u)
	elapsed := testPeriod + time.Duration(w.rnd.Int64N(int64(2*time.Second)))
	each := w.rnd.Uint64N(cpus.capacity(elapsed)+1) / uint64(cpus.physical.Len())
	w.cgroup.Update(func(v *cgrouptest.Values) {
		for cpu := range cpus.physical.All() {
			v.CPUTime[cpu].User += each / 2
			v.CPUTime[cpu].System += each / 2
		}
	})
	w.clock.advance(elapsed)
}

// checkCPUTimes checks those of the counters that are known to the tick without the
// last state.
func (w *world) checkCPUTimes() {
	w.t.Helper()
	now := w.counters()
	for name, v := range now {
		const ticks = 2 // intervals are cut elsewhere, and parts rounded
		timed := strings.HasPrefix(name, "column") || name == "uptime" || name == "idle"
		if last := w.last[name]; timed && v+ticks < last {
			w.t.Errorf("%s from %d to %d", name, last, v)
		}
	}
	w.last = now
}

func (w *world) resume(s State, changed *bool) *Container {
	w.t.Helper()
	text, err := json.Marshal(s)
	if err != nil {
		w.t.Fatal(err)
	}
	var again State
	if err := json.Unmarshal(text, &again); err != nil {
		w.t.Fatal(err)
	}
	return w.container(ContainerConfig{PID: initTask.TID, State: &again, LimitsChanged: func() { *changed = true }})
}
