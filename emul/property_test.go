package emul

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cloister/cgroupview"
	"cloister/cgroupview/cgrouptest"
)

// TestProperties reads containers on random trees, while their limits and usage
// change at random, and checks what must hold whatever they are.
func TestProperties(t *testing.T) {
	for seed := range uint64(4) {
		for _, mode := range cgrouptest.Modes {
			t.Run(fmt.Sprintf("%v/%d", mode, seed), func(t *testing.T) {
				t.Parallel()
				newWorld(t, mode, seed).run(150)
			})
		}
	}
}

// world is a container and its ancestors under random change.
type world struct {
	*rig
	t      *testing.T
	rnd    *rand.Rand
	levels []*cgrouptest.Cgroup // the container's own last
	init   cgrouptest.Task
	last   map[string]uint64 // the figures that must not go backwards
}

func newWorld(t *testing.T, mode cgroupview.Mode, seed uint64) *world {
	w := &world{t: t, rnd: rand.New(rand.NewPCG(seed, uint64(mode))), init: initTask}
	w.rig = newRig(t, mode, func(r *rig) {
		path := ""
		for range 1 + w.rnd.IntN(7) {
			path += "/g"
			w.levels = append(w.levels, r.fake.Cgroup(path))
		}
		r.cgroup = w.levels[len(w.levels)-1]
		r.cgroup.AddTask(w.init)
		r.clock.advance(time.Duration(w.rnd.Int64N(int64(time.Hour))))
	})
	return w
}

func (w *world) run(steps int) {
	for step := range steps {
		w.change()
		if w.rnd.IntN(40) == 0 {
			w.c = w.restart(w.c)
		}
		// The next read takes a new sample and the checks share it.
		w.clock.advance(testPeriod)
		w.checkMemory()
		checkNodes(w.t, w.rig)
		checkSwaps(w.t, w.rig)
		checkSysinfo(w.t, w.rig)
		checkZones(w.t, w.rig)
		w.checkCPUs()
		w.checkCounters()
		if w.t.Failed() {
			w.t.Fatalf("after step %d", step)
		}
	}
}

// change lets time pass, in which the container and those above it get other limits and
// the container is busy.
func (w *world) change() {
	if w.rnd.IntN(3) == 0 {
		w.changeHost()
	}
	w.levels[w.rnd.IntN(len(w.levels))].Update(w.changeLimits)
	w.cgroup.Update(w.use)
	w.changeTasks()
	w.clock.advance(time.Duration(w.rnd.Int64N(int64(2 * time.Second))))
	if w.rnd.IntN(10) == 0 {
		w.host.loads.sample(w.rnd.IntN(loadSlots))
	}
}

// limit is a random limit, biased towards the odd ones.
func (w *world) limit() uint64 {
	switch w.rnd.IntN(5) {
	case 0:
		return cgroupview.NoLimit
	case 1:
		return 0
	case 2:
		return 64 * gib
	}
	return w.rnd.Uint64N(8 * gib)
}

func (w *world) changeLimits(v *cgrouptest.Values) {
	v.MemoryMax, v.SwapMax = w.limit(), w.limit()
	v.MemoryCurrent, v.SwapCurrent = w.rnd.Uint64N(9*gib), w.rnd.Uint64N(gib)
	v.Bandwidth = cgroupview.Bandwidth{}
	if w.rnd.IntN(2) == 0 {
		v.Bandwidth = cgroupview.Bandwidth{Quota: 1000 + w.rnd.Uint64N(500000), Period: 100000}
	}
	v.CPUs = []string{"0-3", "0-1", "2", "0,2-3", "1,3", ""}[w.rnd.IntN(6)]
	v.Mems = []string{"0-1", "0", "1"}[w.rnd.IntN(3)]
}

// use adds CPU time, at times much more than there can have been, memory and I/O. Some
// counters begin anew.
func (w *world) use(v *cgrouptest.Values) {
	for i := range v.CPUTime {
		v.CPUTime[i].User += w.rnd.Uint64N(uint64(time.Second))
		v.CPUTime[i].System += w.rnd.Uint64N(uint64(time.Second) / 4)
	}
	if w.rnd.IntN(50) == 0 {
		v.CPUTime[0].User += uint64(time.Minute)
	}
	v.Stat.ActiveFile, v.Stat.InactiveFile = w.rnd.Uint64N(gib), w.rnd.Uint64N(gib)
	v.Stat.SlabReclaimable = w.rnd.Uint64N(gib)
	v.NUMA = []cgroupview.NodeMemory{{Node: 0, Anon: w.rnd.Uint64N(gib)}, {Node: 1, File: w.rnd.Uint64N(gib)}}
	v.Events.Pgfault += w.rnd.Uint64N(10000)
	v.Events.WorkingsetRefaultFile += w.rnd.Uint64N(100)
	switch w.rnd.IntN(20) {
	case 0:
		v.IO = []cgroupview.DeviceIO{{Major: 259}, {Major: 253}}
	case 1:
		v.Events = cgroupview.MemoryEvents{}
	}
	for i := range v.IO {
		v.IO[i].RBytes += w.rnd.Uint64N(mib)
		v.IO[i].RIOs++
	}
}

// changeTasks has the container's init and some tasks, whose numbers are few, switch.
func (w *world) changeTasks() {
	w.init.VoluntarySwitches += w.rnd.Uint64N(100)
	w.cgroup.SetTask(w.init)
	t := cgrouptest.Task{
		TID: 600 + w.rnd.IntN(5), Comm: "task", State: "RSD"[w.rnd.IntN(3)],
		NSpid: []int{2 + w.rnd.IntN(10)}, VoluntarySwitches: w.rnd.Uint64N(1000),
	}
	w.cgroup.SetTask(t)
	w.cgroup.Update(func(v *cgrouptest.Values) {
		if w.rnd.IntN(5) == 0 {
			v.Tasks = []int{w.init.TID}
		}
		if !slices.Contains(v.Tasks, t.TID) {
			v.Tasks = append(v.Tasks, t.TID)
		}
	})
}

func (w *world) changeHost() {
	total := 4*gib + w.rnd.Uint64N(4*gib)
	swap := w.rnd.Uint64N(2 * gib)
	w.fake.Write("proc/meminfo", fmt.Sprintf(
		"MemTotal: %d kB\nMemFree: %d kB\nMemAvailable: %d kB\nSwapTotal: %d kB\nSwapFree: %d kB\nCommitLimit: %d kB\n",
		total/kib, w.rnd.Uint64N(total)/kib, w.rnd.Uint64N(total)/kib, swap/kib, w.rnd.Uint64N(swap+1)/kib, (total/2+swap)/kib))
}

func (w *world) checkMemory() {
	w.t.Helper()
	m := w.meminfo()
	host, err := readParsed(&hostFile{path: w.fake.Root.Path("proc/meminfo")}, parseMeminfo)
	if err != nil {
		w.t.Fatal(err)
	}
	if m["MemFree"] > m["MemAvailable"] || m["MemAvailable"] > m["MemTotal"] || m["MemTotal"] > host.total/kib ||
		m["MemFree"] > host.free/kib || m["MemAvailable"] > host.available/kib || m["SwapFree"] > m["SwapTotal"] {
		w.t.Errorf("meminfo %v on a host with %+v", m, host)
	}
}

func (w *world) checkCPUs() {
	w.t.Helper()
	checkCPUCount(w.t, w.c, "any", w.c.view.cpus.visible)
	rows := statCPUs(w.t, w.read("proc/stat"))
	for col, sum := range rows[0] {
		for _, row := range rows[1:] {
			sum -= row[col]
		}
		if sum != 0 {
			w.t.Errorf("column %d of stat does not add up: %v", col, rows)
		}
	}
}

func (w *world) checkCounters() {
	w.t.Helper()
	now := w.counters()
	for name, v := range now {
		if last := w.last[name]; v < last {
			w.t.Errorf("%s from %d to %d", name, last, v)
		}
	}
	if now["idle"] > 4*now["uptime"] {
		w.t.Errorf("idle %d on 4 CPUs in %d", now["idle"], now["uptime"])
	}
	w.last = now
}

// counters returns the figures that must not go backwards.
func (w *world) counters() map[string]uint64 {
	w.t.Helper()
	now := map[string]uint64{}
	stat := w.read("proc/stat")
	for i, row := range statCPUs(w.t, stat) {
		for col, v := range row {
			now[fmt.Sprintf("column %d of row %d of stat", col, i)] = v
		}
	}
	now["processes"] = statLine(w.t, stat, "processes")[0]
	now["ctxt"] = statLine(w.t, stat, "ctxt")[0]
	up := numbers(w.t, strings.Fields(strings.ReplaceAll(w.read("proc/uptime"), ".", "")))
	now["uptime"], now["idle"] = up[0], up[1]
	now["last pid"] = number(w.t, strings.Fields(w.read("proc/loadavg"))[4])
	vm := w.vmstat()
	for _, c := range vmCounters {
		now[c.name] = vm[c.name]
	}
	return now
}

// Of ten thousand reads, none shows less of anything that is counted than the one
// before.
func TestNothingGoesBackwards(t *testing.T) {
	for _, mode := range cgrouptest.Modes {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, mode, 42)
			for read := range 10000 / len(cgrouptest.Modes) {
				if read%8 == 0 {
					w.change()
				}
				w.clock.advance(time.Duration(w.rnd.Int64N(int64(2 * testPeriod))))
				w.checkCounters()
				if t.Failed() {
					t.Fatalf("at read %d", read)
				}
			}
		})
	}
}

// When the cgroup goes in the midst of reads, every file says so, and none shows
// anything else.
func TestGoneWhileRead(t *testing.T) {
	for _, mode := range cgrouptest.Modes {
		t.Run(mode.String(), func(t *testing.T) {
			w := newWorld(t, mode, 7)
			w.run(20)
			w.cgroup.Remove()
			w.tickLoads(int(parkAfter/loadPeriod) + 2) // closes descriptors, which the kernel would do at once
			for id, f := range files {
				if f.Dir || f.group != nil {
					continue
				}
				if got, err := w.c.Render(nil, FileID(id), 0); !errors.Is(err, cgroupview.ErrGone) || len(got) > 0 {
					t.Errorf("%s: %q, %v, want ErrGone", f.Path, got, err)
				}
			}
			if _, err := w.c.Sysinfo(); !errors.Is(err, cgroupview.ErrGone) {
				t.Errorf("Sysinfo: %v, want ErrGone", err)
			}
		})
	}
}

// The init of a container can be gone while others of its tasks live on and read.
func TestInitDiesWhileRead(t *testing.T) {
	for _, mode := range cgrouptest.Modes {
		t.Run(mode.String(), func(t *testing.T) {
			w := newWorld(t, mode, 11)
			w.run(20)
			if err := os.RemoveAll(w.fake.Root.Path("proc/500")); err != nil {
				t.Fatal(err)
			}
			w.cgroup.Update(func(v *cgrouptest.Values) { v.Tasks = []int{601} })
			w.cgroup.SetTask(cgrouptest.Task{TID: 601, Comm: "orphan", State: 'R', NSpid: []int{99, 3}})
			w.tickLoads(1)
			w.checkCounters()
			if got := w.last["last pid"]; got != 99 {
				t.Errorf("last pid %d, want 99, the id in the container's namespace", got)
			}
			readAll(t, w.c)
		})
	}
}

// The fake host marks each figure that a container must not see with 777.
func TestIdleContainerSeesNothingOfTheHost(t *testing.T) {
	inModes(t, func(t *testing.T, r *rig) {
		r.set(func(v *cgrouptest.Values) { v.MemoryMax, v.SwapMax, v.MemoryCurrent = 256*mib, 0, mib })
		r.tickLoads(3)
		for path, text := range readAll(t, r.c) {
			if strings.Contains(text, "777") {
				t.Errorf("%s shows the host:\n%s", path, text)
			}
		}
	})
}

// What the neighbours do leaves a container's files as they are.
func TestNeighboursDoNotShow(t *testing.T) {
	inModes(t, func(t *testing.T, r *rig) {
		r.set(func(v *cgrouptest.Values) { v.MemoryMax = 256 * mib })
		before := readAll(t, r.c)
		r.fake.Cgroup("/ct/y").Update(func(v *cgrouptest.Values) {
			v.MemoryCurrent, v.SwapCurrent = gib, gib
			v.CPUTime[0].User = uint64(time.Hour)
			v.IO = []cgroupview.DeviceIO{{Major: 259, RBytes: gib, RIOs: 1000}}
			v.Tasks = []int{800, 801}
		})
		r.fake.Write("proc/loadavg", "99.00 99.00 99.00 99/999 99999\n")
		r.c.expires.Store(0)
		if diff := cmp.Diff(before, readAll(t, r.c)); diff != "" {
			t.Errorf("files changed (-before +after):\n%s", diff)
		}
	})
}
