package emul

import (
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cloister/cgroupview"
	"cloister/cgroupview/cgrouptest"
)

func TestSysinfo(t *testing.T) {
	inModes(t, func(t *testing.T, r *rig) {
		r.cgroup.AddTask(cgrouptest.Task{TID: 501, Comm: "run", State: 'R', NSpid: []int{2}})
		r.cgroup.Update(func(v *cgrouptest.Values) {
			v.MemoryMax, v.MemoryCurrent, v.Stat.Shmem = 256*mib, 56*mib, mib
			v.SwapMax, v.SwapCurrent = 64*mib, 4*mib
		})
		r.tickLoads(1)
		r.step(time.Millisecond)
		got, err := r.c.Sysinfo()
		if err != nil {
			t.Fatal(err)
		}
		want := Sysinfo{
			Uptime: 6, Loads: [3]uint64{164 << 5, 34 << 5, 11 << 5}, TotalRAM: 256 * mib, FreeRAM: 200 * mib,
			SharedRAM: mib, TotalSwap: 64 * mib, FreeSwap: 60 * mib, Procs: 2,
		}
		if r.fake.Mode != cgroupview.Unified {
			want.TotalSwap, want.FreeSwap = 320*mib, 316*mib
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("sysinfo (-want +got):\n%s", diff)
		}
		if m := r.meminfo(); m["MemTotal"] != got.TotalRAM/kib || m["MemFree"] != got.FreeRAM/kib {
			t.Errorf("meminfo total %d, free %d differ from sysinfo", m["MemTotal"], m["MemFree"])
		}
	})
}

func TestSysinfoManyTasks(t *testing.T) {
	r := newRig(t, cgroupview.Unified, nil)
	r.fake.Write(r.cgroup.File("", "pids.current"), "70000\n")
	r.step(testPeriod)
	if got, err := r.c.Sysinfo(); err != nil || got.Procs != 65535 {
		t.Errorf("procs %d, %v, want 65535", got.Procs, err)
	}
}

// checkSysinfo checks that sysinfo, meminfo, swaps (by way of meminfo), loadavg and
// uptime tell the same.
func checkSysinfo(t *testing.T, r *rig) {
	t.Helper()
	s, err := r.c.Sysinfo()
	if err != nil {
		t.Fatal(err)
	}
	m := r.meminfo()
	for name, got := range map[string]uint64{
		"MemTotal": s.TotalRAM, "MemFree": s.FreeRAM, "Shmem": s.SharedRAM, "SwapTotal": s.TotalSwap, "SwapFree": s.FreeSwap,
	} {
		if want, ok := m[name]; ok && got/kib != want {
			t.Errorf("sysinfo has %s %d KiB, meminfo %d", name, got/kib, want)
		}
	}
	load := strings.Fields(r.read("proc/loadavg"))
	for i, want := range load[:3] {
		const one, rounding = 1 << 16, 0.0052
		got := float64(s.Loads[i]) / one
		if two, err := strconv.ParseFloat(want, 64); err != nil || math.Abs(got-two) > rounding {
			t.Errorf("sysinfo has load %d %.4f, loadavg %s, %v", i, got, want, err)
		}
	}
	if _, tasks, _ := strings.Cut(load[3], "/"); number(t, tasks) != uint64(s.Procs) {
		t.Errorf("sysinfo has %d processes, loadavg %s", s.Procs, tasks)
	}
	seconds, fraction, _ := strings.Cut(strings.Fields(r.read("proc/uptime"))[0], ".")
	if up := int64(number(t, seconds)); s.Uptime != up+1 && (s.Uptime != up || fraction != "00") { // it is rounded up
		t.Errorf("sysinfo has uptime %d, uptime %s.%s", s.Uptime, seconds, fraction)
	}
}
