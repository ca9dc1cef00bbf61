package emul

import (
	"encoding/json"
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
