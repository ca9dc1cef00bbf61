package emul

import (
	"fmt"
	"math/rand/v2"
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
	last   counters
}

// counters are the figures that must not go backwards.
type counters struct {
	stat       [][]uint64
	up, idle   uint64
	last, prcs uint64
}

func newWorld(t *testing.T, mode cgroupview.Mode, seed uint64) *world {
	w := &world{t: t, rnd: rand.New(rand.NewPCG(seed, uint64(mode)))}
	w.rig = newRig(t, mode, func(r *rig) {
		path := ""
		for range 1 + w.rnd.IntN(5) {
			path += "/g"
			w.levels = append(w.levels, r.fake.Cgroup(path))
		}
		r.cgroup = w.levels[len(w.levels)-1]
		r.cgroup.AddTask(initTask)
		r.clock.advance(time.Duration(w.rnd.Int64N(int64(time.Hour))))
	})
	return w
}

func (w *world) run(steps int) {
	for step := range steps {
		if w.rnd.IntN(3) == 0 {
			w.changeHost()
		}
		w.levels[w.rnd.IntN(len(w.levels))].Update(w.changeLimits)
		w.cgroup.Update(w.use)
		w.clock.advance(time.Duration(w.rnd.Int64N(int64(2 * time.Second))))
		if w.rnd.IntN(10) == 0 {
			w.host.loads.sample(w.rnd.IntN(loadSlots))
		}
		if w.rnd.IntN(40) == 0 {
			w.c = w.restart(w.c)
		}
		// The next read takes a new sample and the checks share it.
		w.clock.advance(testPeriod)
		w.checkMemory()
		checkSwaps(w.t, w.rig)
		w.checkCPUs()
		w.checkCounters()
		if w.t.Failed() {
			w.t.Fatalf("after step %d", step)
		}
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
}

// use adds CPU time, at times much more than there can have been.
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
	var now counters
	stat := w.read("proc/stat")
	now.stat = statCPUs(w.t, stat)
	now.prcs = statLine(w.t, stat, "processes")[0]
	uptime := strings.ReplaceAll(w.read("proc/uptime"), ".", "")
	up := numbers(w.t, strings.Fields(uptime))
	now.up, now.idle = up[0], up[1]
	now.last = number(w.t, strings.Fields(w.read("proc/loadavg"))[4])

	l := &w.last
	if now.up < l.up || now.idle < l.idle || now.last < l.last || now.prcs < l.prcs || now.idle > 4*now.up {
		w.t.Errorf("from %+v to %+v", l, now)
	}
	for i := range min(len(now.stat), len(l.stat)) {
		for col := range now.stat[i] {
			if now.stat[i][col] < l.stat[i][col] {
				w.t.Errorf("column %d of stat from %v to %v", col, l.stat[i], now.stat[i])
			}
		}
	}
	w.last = now
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
