//go:build chaos

package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"cloister/bench/stand"
	"cloister/internal/api"
	"cloister/internal/keeper"
)

// world is a daemon of its own, and what containers are made from.
type world struct {
	*stand.Stand
	programs programs
	rootfs   string
}

// watchdog is how long the daemon's worker may be silent. It is shorter than by default,
// for the suite to take less time.
const watchdog = 500 * time.Millisecond

func newWorld(t *testing.T) *world {
	t.Helper()
	built := t.TempDir()
	programs, err := build(built)
	if err != nil {
		t.Fatal(err)
	}
	s, err := stand.Here(programs[0], "runc")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{Stand: s, programs: programs, rootfs: filepath.Join(s.Dir, "rootfs")}
	t.Cleanup(func() {
		if err := errors.Join(w.stop(), w.Close(), w.removeCgroups()); err != nil {
			t.Error(err)
		}
	})
	if err := makeRootfs(w.rootfs); err != nil {
		t.Fatal(err)
	}
	if err := w.Daemon(context.Background(), "--watchdog", watchdog.String(), "--log-level", "debug"); err != nil {
		t.Fatal(err)
	}
	return w
}

// makeRootfs makes a root with busybox.
func makeRootfs(dir string) error {
	for _, name := range []string{"bin", "dev", "etc", "proc", "sys", "tmp"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			return err
		}
	}
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		return err
	}
	program, err := os.ReadFile(busybox)
	if err != nil {
		return err
	}
	errs := []error{os.WriteFile(filepath.Join(dir, "bin/busybox"), program, 0o755)}
	for _, applet := range []string{"cat", "sleep"} {
		errs = append(errs, os.Symlink("busybox", filepath.Join(dir, "bin", applet)))
	}
	return errors.Join(errs...)
}

// keeper returns what the keeper says of itself: also while no worker answers.
func (w *world) keeper() (*keeper.Status, error) {
	return keeper.ReadStatus(api.KeeperPath(w.Client.RunDir()))
}

// ours makes sure that a process is one of the daemon's before a signal is sent to it.
func (w *world) ours(pid int) bool {
	program, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	return err == nil && (program == w.programs[0] || program == w.programs[1])
}

// signal sends one to a process of the daemon; false if it is gone.
func (w *world) signal(pid int, s syscall.Signal) bool {
	return w.ours(pid) && syscall.Kill(pid, s) == nil
}

// stop ends the daemon, which by now may be other processes than those that were started.
func (w *world) stop() error {
	var left []int
	err := eventually("the daemon's processes end", func() bool {
		if left = w.processes(); len(left) == 0 {
			return true
		}
		if k, err := w.keeper(); err == nil {
			w.signal(k.PID, syscall.SIGTERM)
		}
		return false
	})
	if err != nil {
		for _, pid := range left {
			w.signal(pid, syscall.SIGKILL)
		}
	}
	return err
}

// processes returns those that run one of the programs.
func (w *world) processes() (pids []int) {
	all, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range all {
		var pid int
		if _, err := fmt.Sscanf(dir, "/proc/%d", &pid); err == nil && w.ours(pid) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// poll is how often is looked for what others do in their own time.
const poll = 20 * time.Millisecond

// eventually waits for what others do in their own time.
func eventually(what string, ok func() bool) error {
	for deadline := time.Now().Add(commandLimit); !ok(); time.Sleep(poll) {
		if time.Now().After(deadline) {
			return fmt.Errorf("not within %v: %s", commandLimit, what)
		}
	}
	return nil
}

// cgroup is that of all containers.
func (w *world) cgroup() string { return filepath.Base(w.Dir) }

func (w *world) cgroupDirs() []string {
	v1, _ := filepath.Glob("/sys/fs/cgroup/*/" + w.cgroup()) // the pattern is right
	v2, _ := filepath.Glob("/sys/fs/cgroup/" + w.cgroup())
	return append(v1, v2...)
}

// removeCgroups fails if a container's is left.
func (w *world) removeCgroups() (err error) {
	_ = eventually("the containers' cgroups are removed", func() bool {
		err = nil
		for _, dir := range w.cgroupDirs() {
			err = errors.Join(err, os.Remove(dir))
		}
		return err == nil
	})
	return err
}

// log returns the end of the daemon's log, without what it says all the time.
func (w *world) log() string {
	text, err := os.ReadFile(filepath.Join(w.Dir, "daemon.log"))
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(string(text), "\n")
	lines = slices.DeleteFunc(lines, func(l string) bool {
		return strings.Contains(l, "injected into a render") || strings.Contains(l, " container ")
	})
	return strings.Join(lines[max(0, len(lines)-100):], "\n")
}
