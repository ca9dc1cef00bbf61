package emul

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cloister/cgroupview"
	"cloister/cgroupview/cgrouptest"
)

// Of the files outside of the directory of CPUs, those that are stable.
var stableFiles = []string{
	"proc/cpuinfo", "proc/slabinfo", "proc/interrupts", "proc/softirqs",
	nodeDir + "/possible", nodeDir + "/online", nodeDir + "/has_cpu",
	nodeDir + "/node*/cpulist", nodeDir + "/node*/cpumap", nodeDir + "/node*/distance", nodeDir + "/node*/numastat",
	"proc/sys/kernel/random/boot_id", "sys/devices/virtual/dmi/id/product_uuid",
	"sys/kernel/debug", "sys/kernel/tracing", "sys/kernel/security", "sys/kernel/config",
}

// Of those in the directory of CPUs, those that are not: the host's administrator can
// change them.
var volatileCPUFiles = []string{
	"cpufreq/boost",
	"intel_pstate/status", "intel_pstate/no_turbo", "intel_pstate/num_pstates", "intel_pstate/turbo_pct",
	"intel_pstate/min_perf_pct", "intel_pstate/max_perf_pct",
	"amd_pstate/status", "amd_pstate/prefcore",
}

var volatilePolicyFiles = []string{
	"scaling_cur_freq", "cpuinfo_cur_freq", "cpuinfo_avg_freq", "cpuinfo_max_freq", "scaling_driver", "scaling_max_freq",
	"scaling_min_freq", "scaling_governor", "energy_performance_preference", "bios_limit", "boost",
}

func TestStableFiles(t *testing.T) {
	want := map[string]bool{}
	for _, path := range stableFiles {
		want[path] = true
	}
	volatile := slices.Clone(volatileCPUFiles)
	for _, dir := range []string{"cpu*/cpufreq/", "cpufreq/policy*/"} {
		for _, name := range volatilePolicyFiles {
			volatile = append(volatile, dir+name)
		}
	}
	for _, f := range files {
		if name, ok := strings.CutPrefix(f.Path, cpuDir+"/"); ok && !slices.Contains(volatile, name) {
			want[f.Path] = true
		}
	}
	got := map[string]bool{}
	for _, f := range Files() {
		if f.Stable {
			got[f.Path] = true
		}
		if f.Stable && (f.nodes || f.group != nil) {
			t.Errorf("%s is stable, and rendered from what changes", f.Path)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("stable files (-want +got):\n%s", diff)
	}
}

func TestPushedViews(t *testing.T) {
	want := []string{
		"proc/cpuinfo", "proc/slabinfo", "proc/interrupts", "proc/softirqs", cpuDir,
		"proc/sys/kernel/random/boot_id", "sys/devices/virtual/dmi/id/product_uuid",
		"sys/kernel/debug", "sys/kernel/tracing", "sys/kernel/security", "sys/kernel/config",
	}
	var got []string
	for _, v := range Views() {
		if !v.Pushed {
			continue
		}
		got = append(got, v.Path)
		volatile := 0
		for _, id := range v.Files {
			if !files[id].Stable {
				volatile++
			}
		}
		if v.Writable || volatile > len(v.Files)/4 {
			t.Errorf("%s is pushed: writable %v, %d of %d files are not stable", v.Path, v.Writable, volatile, len(v.Files))
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("pushed views (-want +got):\n%s", diff)
	}
}

// readStable returns what the container sees of the stable files.
func readStable(tb testing.TB, c *Container) map[string]string {
	tb.Helper()
	all := map[string]string{}
	for _, p := range paths(tb, c) {
		if id, _, _ := lookUp(p); files[id].Stable {
			all[p] = readFile(tb, c, p)
		}
	}
	return all
}

// onlyRead returns a container that is sampled when it is read, and at no other time.
func (r *rig) onlyRead(changed, limitsChanged func()) *Container {
	r.tb.Helper()
	c := r.container(ContainerConfig{PID: initTask.TID, Changed: changed, LimitsChanged: limitsChanged})
	r.host.resampler.remove(c)
	return c
}

// Whatever a container and its host do, a stable file changes only with a call of
// Changed; and as long as nothing but usage changes, there is none.
func TestStableFilesChangeWithNotice(t *testing.T) {
	for seed := range uint64(2) {
		for _, mode := range cgrouptest.Modes {
			t.Run(fmt.Sprintf("%v/%d", mode, seed), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, mode, seed)
				calls, changes := 0, 0
				w.c = w.onlyRead(func() { calls++ }, nil)
				before := readStable(t, w.c)
				for step := range 60 {
					usageOnly := step%3 != 0
					if usageOnly {
						w.changeUsage()
					} else {
						w.change()
						w.changeMachine()
					}
					w.clock.advance(testPeriod)
					calls = 0
					after := readStable(t, w.c)
					diff := cmp.Diff(before, after)
					if diff != "" && calls == 0 || calls > 0 && usageOnly || calls > 1 {
						t.Fatalf("step %d: Changed was called %d times (-before +after):\n%s", step, calls, diff)
					}
					if diff != "" {
						changes++
					}
					before = after
				}
				if changes < 5 {
					t.Errorf("stable files changed %d times: this tests little", changes)
				}
			})
		}
	}
}

// changeUsage is change but for limits.
func (w *world) changeUsage() {
	w.changeHost()
	w.cgroup.Update(func(v *cgrouptest.Values) {
		w.use(v)
		v.MemoryMax, v.SwapMax = w.limit(), w.limit()
		v.MemoryCurrent, v.SwapCurrent = w.rnd.Uint64N(9*gib), w.rnd.Uint64N(gib)
		if b := &v.Bandwidth; b.Limited() { // the same CPUs
			b.Quota = max(1000, (b.CPUs()-1)*b.Period+1+w.rnd.Uint64N(b.Period))
		}
	})
	w.changeTasks()
	w.fake.Write("proc/interrupts", fmt.Sprintf("            CPU0       CPU1\n  0: %10d          0  IO-APIC   timer\n", w.rnd.IntN(1000)))
	w.fake.Write("proc/cpuinfo", fmt.Sprintf("processor\t: 0\ncpu MHz\t\t: %d.000\n\n", 1000+w.rnd.IntN(3000)))
	w.fake.Write(cpuDir+"/cpu0/cpufreq/scaling_cur_freq", fmt.Sprintf("%d\n", w.rnd.IntN(3000000)))
	w.clock.advance(time.Duration(w.rnd.Int64N(int64(2 * time.Second))))
	w.host.loads.sample(w.rnd.IntN(loadSlots))
}

// changeMachine takes CPUs of the host's away, or gives them back.
func (w *world) changeMachine() {
	if w.rnd.IntN(3) == 0 {
		w.fake.Write(cpuDir+"/online", []string{"0-3\n", "0-2\n"}[w.rnd.IntN(2)])
	}
}

// A quota that keeps as many CPUs busy leaves the files as they are, and is yet one
// that a State is to tell of.
func TestChanged(t *testing.T) {
	inModes(t, func(t *testing.T, r *rig) {
		var changed, limits int
		r.c = r.onlyRead(func() { changed++ }, func() { limits++ })
		for _, tt := range []struct {
			what            string
			set             func(*cgrouptest.Values)
			changed, limits int
		}{
			{"the first sample", func(*cgrouptest.Values) {}, 0, 0},
			{"memory", func(v *cgrouptest.Values) { v.MemoryMax = gib }, 0, 0},
			{"a quota", func(v *cgrouptest.Values) { v.Bandwidth = cgroupview.Bandwidth{Quota: 150000, Period: 100000} }, 1, 1},
			{"a quota of as many CPUs", func(v *cgrouptest.Values) { v.Bandwidth.Quota = 160000 }, 0, 1},
			{"CPUs", func(v *cgrouptest.Values) { v.CPUs = "2-3" }, 1, 1},
			{"nodes", func(v *cgrouptest.Values) { v.Mems = "1" }, 1, 0},
			{"the host's CPUs", func(*cgrouptest.Values) { r.fake.Write(cpuDir+"/online", "1-3\n") }, 1, 0},
			{"the host's nodes", func(*cgrouptest.Values) { r.fake.Write(nodeDir+"/online", "0-2\n") }, 1, 0},
		} {
			changed, limits = 0, 0
			r.set(tt.set)
			r.read("proc/uptime")
			if changed != tt.changed || limits != tt.limits {
				t.Errorf("%s: Changed %d times and LimitsChanged %d times, want %d and %d", tt.what, changed, limits, tt.changed, tt.limits)
			}
		}
	})
}

// When Changed is called, new contents are there for the asking, though the sample has
// shown CPUs whose files were read just before.
func TestChangedComesAfterTheView(t *testing.T) {
	r := newRig(t, cgroupview.Unified, nil)
	asked := make(chan struct{})
	got := make(chan string)
	c := r.onlyRead(func() { close(asked) }, nil)
	go func() {
		<-asked
		var all string
		for _, path := range []string{cpuDir + "/online", "proc/cpuinfo"} {
			id, _, _ := lookUp(path)
			text, err := c.Render(nil, id, 0)
			all += fmt.Sprint(string(text), err, "\n")
		}
		got <- all
	}()
	readFile(t, c, "proc/cpuinfo")
	r.fake.Write("proc/cpuinfo", "processor\t: 0\nmodel name\t: new\n\n")
	r.fake.Write(cpuDir+"/online", "2\n")
	r.set(func(v *cgrouptest.Values) { v.CPUs = "2" })
	readFile(t, c, "proc/uptime")
	if want, all := "0\n<nil>\nprocessor\t: 0\nmodel name\t: new\n\n<nil>\n", <-got; all != want {
		t.Errorf("got %q, want %q", all, want)
	}
}
