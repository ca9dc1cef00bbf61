package cgroupview_test

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"cloister/cgroupview"
	"cloister/cgroupview/cgrouptest"
)

func newWatcher(t *testing.T) *cgroupview.Watcher {
	t.Helper()
	w, err := cgroupview.NewWatcher()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

func watch(t *testing.T, w *cgroupview.Watcher, g *cgroupview.Group) (cgrouptest.Notices, *cgroupview.Watch) {
	t.Helper()
	c := cgrouptest.NewNotices()
	x, err := w.Add(g, c.Call)
	if err != nil {
		t.Fatal(err)
	}
	return c, x
}

// limitFiles are the files that a watch is about, as each mode has them.
func limitFiles(mode cgroupview.Mode) [][2]string {
	if mode == cgroupview.Unified {
		return [][2]string{{"cpu,cpuacct", "cpu.max"}, {"cpuset", "cpuset.cpus"}, {"cpuset", "cpuset.mems"}, {"cpuset", "cgroup.subtree_control"}, {"memory", "memory.max"}, {"memory", "memory.swap.max"}}
	}
	return [][2]string{{"cpu,cpuacct", "cpu.cfs_quota_us"}, {"cpu,cpuacct", "cpu.cfs_period_us"}, {"cpuset", "cpuset.cpus"}, {"cpuset", "cpuset.mems"}, {"memory", "memory.limit_in_bytes"}, {"memory", "memory.memsw.limit_in_bytes"}}
}

// Of two cgroups below one, each is told of what is written in itself, and both of what
// is written above.
func TestWatcher(t *testing.T) {
	for _, mode := range cgrouptest.Modes {
		t.Run(mode.String(), func(t *testing.T) {
			host := cgrouptest.New(t, mode)
			above, a, b := host.Cgroup("/ct"), host.Cgroup("/ct/a"), host.Cgroup("/ct/b")
			w := newWatcher(t)
			ga, gb := a.Open(), b.Open()
			defer ga.Close()
			defer gb.Close()
			ca, xa := watch(t, w, ga)
			cb, _ := watch(t, w, gb)
			for _, f := range limitFiles(mode) {
				write(t, host, above.File(f[0], f[1]))
				ca.Wait(t, f[1]+" above a")
				cb.Wait(t, f[1]+" above b")
				write(t, host, a.File(f[0], f[1]))
				ca.Wait(t, f[1])
				write(t, host, b.File(f[0], f[1]))
				cb.Wait(t, f[1])
			}
			// Events come in order: before the last one, the others have been dealt with.
			quiet(ca)
			write(t, host, a.File("memory", "memory.current"))
			write(t, host, a.File("cpu,cpuacct", "cpu.stat"))
			write(t, host, b.File("cpuset", "cpuset.cpus"))
			cb.Wait(t, "b")
			if len(ca) > 0 {
				t.Error("a was told of what does not concern it")
			}
			xa.Close()
			xa.Close()
			write(t, host, above.File("cpuset", "cpuset.cpus"))
			cb.Wait(t, "above b, without a")
			if len(ca) > 0 {
				t.Error("a was told after Close")
			}
		})
	}
}

// write writes to a file in one write, as one does to the kernel's.
func write(t *testing.T, host *cgrouptest.Host, path string) {
	t.Helper()
	f, err := os.OpenFile(host.Root.Path(path), os.O_WRONLY|os.O_CREATE, 0o644)
	if err == nil {
		_, err = f.WriteString("1\n")
	}
	if err = errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

func quiet(c cgrouptest.Notices) {
	select {
	case <-c:
	default:
	}
}

// watches returns how many watches the test's inotify descriptors have.
func watches(t *testing.T) (n int) {
	t.Helper()
	fds, err := filepath.Glob("/proc/self/fdinfo/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		text, _ := os.ReadFile(fd) // it may have been closed
		n += strings.Count(string(text), "inotify wd:")
	}
	return n
}

// However many cgroups there are below one, it is watched once, and no longer than the
// last of them.
func TestWatchesAreShared(t *testing.T) {
	host := cgrouptest.New(t, cgroupview.Unified)
	w := newWatcher(t)
	var all []*cgroupview.Watch
	for _, path := range []string{"/ct/a", "/ct/b", "/ct/c"} {
		g := host.Cgroup(path).Open()
		defer g.Close()
		_, x := watch(t, w, g)
		all = append(all, x)
	}
	if got := watches(t); got != 4 {
		t.Errorf("%d watches, want 4", got)
	}
	for i, x := range all {
		x.Close()
		if got, want := watches(t), []int{3, 2, 0}[i]; got != want {
			t.Errorf("%d watches after %d were closed, want %d", got, i+1, want)
		}
	}
}

// A cgroup that is removed, and another that takes its name.
func TestWatcherOfRemovedCgroup(t *testing.T) {
	host := cgrouptest.New(t, cgroupview.Unified)
	w := newWatcher(t)
	old, other := host.Cgroup("/ct/a"), host.Cgroup("/ct/b")
	gOld, gOther := old.Open(), other.Open()
	defer gOld.Close()
	defer gOther.Close()
	cOld, xOld := watch(t, w, gOld)
	cOther, _ := watch(t, w, gOther)
	old.Remove()
	again := host.Cgroup("/ct/a")
	gAgain := again.Open()
	defer gAgain.Close()
	cAgain, _ := watch(t, w, gAgain)
	quiet(cOld)
	write(t, host, again.File("cpuset", "cpuset.cpus"))
	cAgain.Wait(t, "the new cgroup")
	write(t, host, other.File("cpuset", "cpuset.cpus"))
	cOther.Wait(t, "the other one")
	if len(cOld) > 0 {
		t.Error("what was written to another cgroup was taken for the removed one's")
	}
	xOld.Close()
	write(t, host, again.File("cpuset", "cpuset.mems"))
	cAgain.Wait(t, "the new cgroup, without the old one")
}

// When the kernel has dropped events everybody is called: any of them may have been
// meant.
func TestWatcherOverflow(t *testing.T) {
	text, err := os.ReadFile("/proc/sys/fs/inotify/max_queued_events")
	if err != nil {
		t.Fatal(err)
	}
	limit, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || limit > 1<<17 {
		t.Skipf("needs a queue that can be filled, fs.inotify.max_queued_events is %s", text)
	}
	host := cgrouptest.New(t, cgroupview.Unified)
	w := newWatcher(t)
	busy, idle := host.Cgroup("/busy"), host.Cgroup("/idle")
	gBusy, gIdle := busy.Open(), idle.Open()
	defer gBusy.Close()
	defer gIdle.Close()
	entered, leave := make(chan struct{}), make(chan struct{})
	var once sync.Once
	if _, err := w.Add(gBusy, func() {
		once.Do(func() {
			close(entered)
			<-leave
		})
	}); err != nil {
		t.Fatal(err)
	}
	c, _ := watch(t, w, gIdle)
	write(t, host, busy.File("cpuset", "cpuset.cpus"))
	<-entered
	fill(t, limit, host.Root.Path(busy.File("cpuset", "cpuset.cpus")), host.Root.Path(busy.File("cpuset", "cpuset.mems")))
	close(leave)
	c.Wait(t, "events were lost")
}

// fill raises more events than a queue takes, by turns, since of the same in a row the
// kernel makes one.
func fill(t *testing.T, limit int, paths ...string) {
	t.Helper()
	var files []*os.File
	for _, path := range paths {
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		files = append(files, f)
	}
	for range limit {
		for _, f := range files {
			if _, err := f.WriteAt([]byte("0\n"), 0); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// The root of a hierarchy has no limits, and nothing to watch.
func TestWatcherOfRoot(t *testing.T) {
	host := cgrouptest.New(t, cgroupview.Unified)
	g, err := host.Layout().Open(cgroupview.Paths{Unified: "/"})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	watch(t, newWatcher(t), g)
	if got := watches(t); got != 0 {
		t.Errorf("%d watches, want none", got)
	}
}

func TestWatcherClosed(t *testing.T) {
	host := cgrouptest.New(t, cgroupview.Unified)
	g := host.Cgroup("/x").Open()
	defer g.Close()
	w, err := cgroupview.NewWatcher()
	if err != nil {
		t.Fatal(err)
	}
	_, x := watch(t, w, g)
	w.Close()
	x.Close()
	if _, err := w.Add(g, func() {}); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Add after Close: %v, want ErrClosed", err)
	}
}

func TestTopCPUs(t *testing.T) {
	for _, mode := range cgrouptest.Modes {
		host := cgrouptest.New(t, mode)
		g := host.Cgroup("/ct/a").Open()
		defer g.Close()
		for _, want := range []string{"0-3", "1-3"} {
			root := "sys/fs/cgroup/cpuset/cpuset.effective_cpus"
			if mode == cgroupview.Unified {
				root = "sys/fs/cgroup/cpuset.cpus.effective"
			}
			host.Write(root, want+"\n")
			if got, err := g.TopCPUs(); err != nil || got.String() != want {
				t.Errorf("%v: %v, %v, want %s", mode, got, err, want)
			}
		}
	}
}

// BenchmarkWatch is what a container in /docker costs.
func BenchmarkWatch(b *testing.B) {
	for _, mode := range cgrouptest.Modes {
		b.Run(mode.String(), func(b *testing.B) {
			host := cgrouptest.New(b, mode)
			w, err := cgroupview.NewWatcher()
			if err != nil {
				b.Fatal(err)
			}
			defer w.Close()
			for _, path := range []string{"/docker/first", "/docker/x"} {
				g := host.Cgroup(path).Open()
				defer g.Close()
				if path == "/docker/first" {
					if _, err := w.Add(g, func() {}); err != nil {
						b.Fatal(err)
					}
					continue
				}
				b.ReportAllocs()
				for b.Loop() {
					x, err := w.Add(g, func() {})
					if err != nil {
						b.Fatal(err)
					}
					x.Close()
				}
			}
		})
	}
}
