package emul

import (
	"errors"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cloister/cgroupview"
	"cloister/cgroupview/cgrouptest"
)

const (
	kib = uint64(1) << 10
	mib = uint64(1) << 20
	gib = uint64(1) << 30
)

// fakeClock is a CLOCK_BOOTTIME that stands still.
type fakeClock struct{ ns atomic.Int64 }

func (c *fakeClock) now() time.Duration      { return time.Duration(c.ns.Load()) }
func (c *fakeClock) advance(d time.Duration) { c.ns.Add(int64(d)) }

// rig is a fake host with one container, started at 1000 s of host time with
// an init process of id 500.
type rig struct {
	tb     testing.TB
	fake   *cgrouptest.Host
	clock  *fakeClock
	host   *Host
	cgroup *cgrouptest.Cgroup
	c      *Container
}

const (
	start      = 1000 * time.Second
	testPeriod = 20 * time.Millisecond
)

var initTask = cgrouptest.Task{TID: 500, Comm: "init (1) a\nb", NSpid: []int{1}, Start: start}

// newRig prepares a container in the cgroup /ct/x. setup may change the fake
// host before it is looked at.
func newRig(tb testing.TB, mode cgroupview.Mode, setup func(*rig)) *rig {
	tb.Helper()
	r := &rig{tb: tb, fake: cgrouptest.New(tb, mode), clock: &fakeClock{}}
	r.clock.advance(start)
	r.cgroup = r.fake.Cgroup("/ct/x")
	r.cgroup.AddTask(initTask)
	if setup != nil {
		setup(r)
	}
	host, err := NewHost(HostOptions{Root: r.fake.Root, Period: testPeriod, Clock: r.clock.now})
	if err != nil {
		tb.Fatal(err)
	}
	// Loads are sampled when a test says so: not between two reads that it compares.
	host.loads.close()
	host.loads = newLoadSampler(host.now)
	close(host.loads.done)
	tb.Cleanup(host.Close)
	r.host = host
	r.c = r.container(ContainerConfig{PID: initTask.TID})
	return r
}

// container returns another Container for the same cgroup.
func (r *rig) container(cfg ContainerConfig) *Container {
	r.tb.Helper()
	cfg.Group = r.cgroup.Open()
	c, err := r.host.NewContainer(cfg)
	if err != nil {
		r.tb.Fatal(err)
	}
	r.tb.Cleanup(c.Close)
	return c
}

// step lets time pass, so that the next read takes a new sample.
func (r *rig) step(d time.Duration) { r.clock.advance(d) }

// set changes the container's cgroup and lets the current sample expire.
func (r *rig) set(change func(*cgrouptest.Values)) {
	r.tb.Helper()
	r.cgroup.Update(change)
	r.step(testPeriod)
}

func (r *rig) read(path string) string {
	r.tb.Helper()
	return readFile(r.tb, r.c, path)
}

// lookUp finds a file, and of which member it is, by a path that Files has or that a
// container sees.
func lookUp(path string) (id FileID, member int, ok bool) {
	for i, f := range files {
		if f.Path == path {
			return FileID(i), 0, true
		}
		before, after, inSeries := strings.Cut(f.Path, "*")
		number, beginsSo := strings.CutPrefix(path, before)
		number, endsSo := strings.CutSuffix(number, after)
		if !inSeries || !beginsSo || !endsSo {
			continue
		}
		if n, err := strconv.Atoi(number); err == nil {
			return FileID(i), n, true
		}
	}
	return 0, 0, false
}

func readFile(tb testing.TB, c *Container, path string) string {
	tb.Helper()
	id, member, ok := lookUp(path)
	if !ok {
		tb.Fatalf("no file %s", path)
	}
	text, err := c.Render(nil, id, member)
	if err != nil {
		tb.Fatal(err)
	}
	return string(text)
}

// readAll returns the files that the container sees, with those of all members, by
// path. Files that the host doesn't have are left out.
func readAll(tb testing.TB, c *Container) map[string]string {
	tb.Helper()
	all := map[string]string{}
	for _, p := range paths(tb, c) {
		all[p] = readFile(tb, c, p)
	}
	return all
}

// supported returns the files, without directories, that the host has.
func supported(tb testing.TB, h *Host) (ids []FileID) {
	tb.Helper()
	for id, f := range files {
		ok, err := h.Supported(FileID(id))
		if err != nil && !errors.Is(err, cgroupview.ErrFormat) {
			tb.Fatal(err)
		}
		if ok && !f.Dir {
			ids = append(ids, FileID(id))
		}
	}
	return ids
}

// paths returns the paths of the files that the container sees, in the order of Files.
func paths(tb testing.TB, c *Container) (all []string) {
	tb.Helper()
	for _, id := range supported(tb, c.host) {
		f := &files[id]
		if f.group != nil {
			if _, err := c.Render(nil, id, 0); errors.Is(err, ErrNoPressure) {
				continue
			}
		}
		members := []int{0}
		if f.series != noSeries {
			var err error
			if members, err = c.Members(id); err != nil {
				tb.Fatal(err)
			}
		}
		for _, m := range members {
			all = append(all, f.series.path(f.Path, m))
		}
	}
	return all
}

// meminfo returns the lines of the container's meminfo, in KiB.
func (r *rig) meminfo() map[string]uint64 {
	r.tb.Helper()
	values := map[string]uint64{}
	for line := range strings.Lines(r.read("proc/meminfo")) {
		name, rest, _ := strings.Cut(line, ":")
		values[name] = number(r.tb, strings.Fields(rest)[0])
	}
	return values
}

// statCPUs returns the CPU rows of the container's stat, the total first.
func statCPUs(tb testing.TB, stat string) [][]uint64 {
	tb.Helper()
	var rows [][]uint64
	for line := range strings.Lines(stat) {
		fields := strings.Fields(line)
		if !strings.HasPrefix(fields[0], "cpu") {
			continue
		}
		if want := "cpu" + strconv.Itoa(len(rows)-1); len(rows) > 0 && fields[0] != want {
			tb.Fatalf("row %q, want %s", line, want)
		}
		rows = append(rows, numbers(tb, fields[1:]))
	}
	return rows
}

// statLine returns the figures of another line of stat.
func statLine(tb testing.TB, stat, name string) []uint64 {
	tb.Helper()
	for line := range strings.Lines(stat) {
		if fields := strings.Fields(line); fields[0] == name {
			return numbers(tb, fields[1:])
		}
	}
	tb.Fatalf("no line %s in %s", name, stat)
	return nil
}

func numbers(tb testing.TB, fields []string) []uint64 {
	tb.Helper()
	values := make([]uint64, len(fields))
	for i, f := range fields {
		values[i] = number(tb, f)
	}
	return values
}

func number(tb testing.TB, s string) uint64 {
	v, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		tb.Helper() // not before: it is dear, and the property tests parse a million
		tb.Fatal(err)
	}
	return v
}

// refuses checks that none of the texts is in the format that parse knows.
func refuses[T any](t *testing.T, parse func([]byte) (T, error), texts ...string) {
	t.Helper()
	for _, text := range texts {
		if v, err := parse([]byte(text)); !errors.Is(err, cgroupview.ErrFormat) {
			t.Errorf("%q: parsed as %v, %v, want ErrFormat", text, v, err)
		}
	}
}

// inModes runs a test with a container on a fresh host of each mode.
func inModes(t *testing.T, test func(t *testing.T, r *rig)) {
	for _, mode := range cgrouptest.Modes {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			test(t, newRig(t, mode, nil))
		})
	}
}
