package emul

import (
	"slices"
	"testing"
	"time"

	"cloister/cgroupview"
	"cloister/cgroupview/cgrouptest"
)

// busy gives the cgroup a CPU time, in ticks, on the first CPU.
func busy(user, system uint64) func(*cgrouptest.Values) {
	return func(v *cgrouptest.Values) {
		v.CPUTime[0] = cgroupview.CPUTime{User: user * tick, System: system * tick}
	}
}

func checkStatRows(t *testing.T, stat string, want ...[]uint64) {
	t.Helper()
	rows := statCPUs(t, stat)
	if len(rows) != len(want) {
		t.Fatalf("%d rows, want %d", len(rows), len(want))
	}
	for i, w := range want {
		full := []uint64{w[0], 0, w[1], w[2], 0, 0, 0, 0, 0, 0}
		if !slices.Equal(rows[i], full) {
			t.Errorf("row %d %v, want %v", i-1, rows[i], full)
		}
	}
}

func TestStat(t *testing.T) {
	inModes(t, func(t *testing.T, r *rig) {
		r.cgroup.Update(busy(200, 40))
		r.cgroup.Update(func(v *cgrouptest.Values) { v.CPUs = "0-1" })
		r.step(10 * time.Second)
		stat := r.read("proc/stat")
		if r.fake.Mode == cgroupview.Unified { // which tells no CPU from another
			checkStatRows(t, stat, []uint64{200, 40, 1760}, []uint64{100, 20, 880}, []uint64{100, 20, 880})
		} else {
			checkStatRows(t, stat, []uint64{200, 40, 1760}, []uint64{200, 40, 760}, []uint64{0, 0, 1000})
		}
		for name, want := range map[string][]uint64{
			"intr": {0}, "ctxt": {0}, "btime": {1700000000}, "processes": {1},
			"procs_running": {1}, "procs_blocked": {0}, "softirq": make([]uint64, 11),
		} {
			if got := statLine(t, stat, name); !slices.Equal(got, want) {
				t.Errorf("%s %v, want %v", name, got, want)
			}
		}
	})
}

// A container that has been there for a while before it is looked at shows its
// counters since its start.
func TestStatFirstRead(t *testing.T) {
	r := newRig(t, cgroupview.Unified, func(r *rig) {
		r.cgroup.Update(busy(100, 100))
		r.cgroup.Update(func(v *cgrouptest.Values) { v.CPUs = "1" })
		r.clock.advance(10 * time.Second)
	})
	checkStatRows(t, r.read("proc/stat"), []uint64{100, 100, 800}, []uint64{100, 100, 800})
}

// Half a CPU in full use: 100 % of the one CPU that shows.
func TestStatFullQuota(t *testing.T) {
	inModes(t, func(t *testing.T, r *rig) {
		r.set(func(v *cgrouptest.Values) { v.Bandwidth = cgroupview.Bandwidth{Quota: 50000, Period: 100000} })
		before := statCPUs(t, r.read("proc/stat"))[1]
		r.cgroup.Update(busy(500, 0))
		r.step(10 * time.Second)
		after := statCPUs(t, r.read("proc/stat"))[1]
		if user, idle := after[0]-before[0], after[3]-before[3]; user != 500 || idle != 0 {
			t.Errorf("user %d, idle %d ticks more, want 500, 0", user, idle)
		}
	})
}

// Usage is counted in lumps: what exceeds the capacity of one short interval is
// set off against the idle time of the next.
func TestStatLumps(t *testing.T) {
	r := newRig(t, cgroupview.Unified, func(r *rig) {
		r.cgroup.Update(func(v *cgrouptest.Values) { v.CPUs = "0" })
	})
	for i := range uint64(100) {
		if i%4 == 0 { // 50 ms in every 4 intervals of 20 ms
			r.cgroup.Update(busy(5*(i/4+1), 0))
		}
		r.step(testPeriod)
		r.read("proc/stat")
	}
	checkStatRows(t, r.read("proc/stat"), []uint64{125, 0, 75}, []uint64{125, 0, 75})
}

// Usage far above the limit, as after a limit was lowered unseen, must not stop
// the idle time for longer than a second.
func TestStatRecoversFromExcess(t *testing.T) {
	r := newRig(t, cgroupview.Unified, func(r *rig) {
		r.cgroup.Update(func(v *cgrouptest.Values) { v.CPUs = "0" })
	})
	r.cgroup.Update(busy(100000, 0))
	r.step(time.Second)
	checkStatRows(t, r.read("proc/stat"), []uint64{100000, 0, 0}, []uint64{100000, 0, 0})
	r.step(3 * time.Second)
	checkStatRows(t, r.read("proc/stat"), []uint64{100000, 0, 200}, []uint64{100000, 0, 200})
}

// When the number of CPUs changes, the sum over the rows only grows.
func TestStatResize(t *testing.T) {
	inModes(t, func(t *testing.T, r *rig) {
		last := statCPUs(t, r.read("proc/stat"))[0]
		for i, list := range []string{"0-3", "0-2", "0", "0-3", "1-2", "0-2", "3"} {
			r.cgroup.Update(busy(uint64(i)*33+7, uint64(i)*11))
			r.cgroup.Update(func(v *cgrouptest.Values) { v.CPUs = list })
			r.step(777 * time.Millisecond)
			now := statCPUs(t, r.read("proc/stat"))[0]
			for col := range now {
				if now[col] < last[col] {
					t.Errorf("CPUs %s: column %d of the sum went from %d to %d", list, col, last[col], now[col])
				}
			}
			last = now
		}
	})
}

// A v1 cgroup's usage can be reset by whoever owns its files.
func TestStatUsageReset(t *testing.T) {
	r := newRig(t, cgroupview.Hybrid, func(r *rig) { r.cgroup.Update(busy(500, 0)) })
	r.step(10 * time.Second)
	r.read("proc/stat")
	r.set(busy(0, 0))
	if got := statCPUs(t, r.read("proc/stat"))[0][0]; got != 500 {
		t.Errorf("user %d, want 500 still", got)
	}
	r.set(busy(7, 0))
	if got := statCPUs(t, r.read("proc/stat"))[0][0]; got != 507 {
		t.Errorf("user %d, want 507", got)
	}
}

func TestStatBtimeInTimeNamespace(t *testing.T) {
	r := newRig(t, cgroupview.Unified, nil)
	for offset, want := range map[time.Duration]uint64{
		0:                        1700000000,
		-1000 * time.Second:      1700001000,
		-1500 * time.Millisecond: 1700000001,
		time.Hour:                1699996400,
	} {
		c := r.container(ContainerConfig{PID: initTask.TID, TimeNamespace: true, BootOffset: offset})
		if got := statLine(t, readFile(t, c, "proc/stat"), "btime")[0]; got != want {
			t.Errorf("offset %v: btime %d, want %d", offset, got, want)
		}
	}
}

func TestParseBtime(t *testing.T) {
	if got, err := parseBtime([]byte("cpu  1 2\nbtime 1700000000\nprocesses 1\n")); err != nil || got != 1700000000 {
		t.Errorf("parseBtime = %d, %v", got, err)
	}
	refuses(t, parseBtime, "", "btime\n", "btime x\n", "xbtime 5\n")
}

func FuzzParseBtime(f *testing.F) {
	f.Add([]byte("cpu  1 2\nbtime 1700000000\n"))
	f.Fuzz(func(_ *testing.T, b []byte) { _, _ = parseBtime(b) })
}
