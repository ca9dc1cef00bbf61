//go:build root

package sys_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"testing"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"cloister/internal/sys"
)

// trigger fires when a task has waited for 1 ms within 2 s, the shortest window that
// every user may ask for.
const trigger = "some 1000 2000000\x00"

// pressureCgroup makes a cgroup in the cgroup2 tree.
func pressureCgroup(t *testing.T, name string) string {
	t.Helper()
	mounts, err := mountinfo.GetMounts(mountinfo.FSTypeFilter("cgroup2"))
	if err != nil {
		t.Fatal(err)
	}
	if len(mounts) == 0 {
		t.Skip("needs a cgroup2 mount")
	}
	dir := fmt.Sprintf("%s/cloister-sys-test-%d-%s", mounts[0].Mountpoint, os.Getpid(), name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.Remove(dir); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Errorf("leftover cgroup: %v", err)
		}
	})
	if _, err := os.Stat(dir + "/cpu.pressure"); errors.Is(err, os.ErrNotExist) {
		t.Skip("needs a kernel with pressure stall information (CONFIG_PSI, psi=1)")
	}
	return dir
}

func openTrigger(t *testing.T, dir string) *sys.FD {
	t.Helper()
	fd, err := sys.Open(dir+"/cpu.pressure", unix.O_RDWR)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { fd.Close() })
	if _, err := io.WriteString(fd, trigger); err != nil {
		t.Fatal(err)
	}
	return fd
}

// stall keeps more tasks of the cgroup busy than there are CPUs, until end.
func stall(t *testing.T, dir string) (end func()) {
	t.Helper()
	cgroup, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer cgroup.Close()
	var tasks []*exec.Cmd
	end = sync.OnceFunc(func() {
		for _, cmd := range tasks {
			_ = cmd.Process.Kill()
			_ = cmd.Wait() // killed
		}
	})
	t.Cleanup(end)
	for range runtime.NumCPU() + 1 {
		cmd := exec.Command("sh", "-c", "while :; do :; done")
		cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(cgroup.Fd()), Pdeathsig: syscall.SIGKILL}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		tasks = append(tasks, cmd)
	}
	return end
}

func TestEventWatcherOnPressure(t *testing.T) {
	w := eventWatcher(t)
	busy, idle := pressureCgroup(t, "busy"), pressureCgroup(t, "idle")
	type told struct {
		cgroup string
		gone   bool
	}
	fired := make(chan told, 100)
	var removes []func()
	for _, dir := range []string{busy, idle} {
		remove, err := w.Add(openTrigger(t, dir), func(gone bool) { fired <- told{dir, gone} })
		if err != nil {
			t.Fatal(err)
		}
		removes = append(removes, remove)
	}
	end := stall(t, busy)
	for range 2 { // once in each window
		if got := <-fired; got != (told{busy, false}) {
			t.Fatalf("%+v, want an event of the busy cgroup", got)
		}
	}
	end()
	for _, dir := range []string{idle, busy} {
		if err := os.Remove(dir); err != nil {
			t.Fatal(err)
		}
		got := <-fired
		for got == (told{busy, false}) { // its last window may have ended meanwhile
			got = <-fired
		}
		if got != (told{dir, true}) {
			t.Fatalf("%+v, want the end of %s", got, dir)
		}
	}
	for _, remove := range removes {
		remove()
	}
	if len(fired) > 0 {
		t.Errorf("told of %+v of a cgroup that is gone", <-fired)
	}
}

func TestEventWatcherRemoveBesideRmdir(t *testing.T) {
	w := eventWatcher(t)
	for i := range 50 {
		dir := pressureCgroup(t, fmt.Sprint(i))
		fd := openTrigger(t, dir)
		removeBeside(t, w, fd, func() error { return os.Remove(dir) })
	}
}

// A file without a trigger and that of a removed cgroup are gone at once.
func TestEventWatcherTooLate(t *testing.T) {
	w := eventWatcher(t)
	fired := make(chan bool, 10)
	wantGone := func(fd *sys.FD) {
		t.Helper()
		if _, err := w.Add(fd, func(gone bool) { fired <- gone }); err != nil {
			t.Fatal(err)
		}
		if !<-fired {
			t.Error("an event, want gone")
		}
	}
	dir := pressureCgroup(t, "late")
	bare, err := sys.Open(dir+"/cpu.pressure", unix.O_RDWR)
	if err != nil {
		t.Fatal(err)
	}
	defer bare.Close()
	wantGone(bare)
	triggered := openTrigger(t, dir)
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	wantGone(triggered)
}
