//go:build e2e

package e2e

import (
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

	"github.com/moby/sys/mountinfo"

	"cloister/internal/api"
)

// startDaemon starts a daemon with directories below dir.
func startDaemon(dir string) (*daemon, error) {
	d := &daemon{
		runDir: filepath.Join(dir, "run"), stateDir: filepath.Join(dir, "state"),
		settings: filepath.Join(dir, "settings.json"), log: filepath.Join(dir, "daemon.log"),
	}
	d.client = api.NewClient(d.runDir)
	return d, d.start()
}

func (d *daemon) start() error {
	log, err := os.OpenFile(d.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	d.cmd = exec.Command(world.cloister, "daemon", "--run-dir", d.runDir, "--state-dir", d.stateDir, "--settings", d.settings, "--log-level", "debug")
	d.cmd.Stdout, d.cmd.Stderr = log, log
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := d.cmd.Start(); err != nil {
		return err
	}
	deadline := time.Now().Add(time.Minute)
	for {
		_, err := d.client.Status()
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) || d.cmd.Process.Signal(syscall.Signal(0)) != nil {
			text, _ := os.ReadFile(d.log)
			return fmt.Errorf("the daemon does not come up: %w\n%s", err, text)
		}
	}
}

func (d *daemon) stop() error {
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	if err := d.cmd.Wait(); err != nil {
		text, _ := os.ReadFile(d.log)
		return fmt.Errorf("the daemon did not stop cleanly: %w\n%s", err, text)
	}
	return nil
}

// kill leaves neither the keeper nor its worker.
func (d *daemon) kill(t *testing.T) {
	t.Helper()
	worker := d.worker(t)
	_ = d.cmd.Process.Kill()
	_ = worker.Kill()
	_ = d.cmd.Wait()
}

func (d *daemon) worker(t *testing.T) *os.Process {
	t.Helper()
	s, err := d.client.Status()
	if err != nil {
		t.Fatal(err)
	}
	worker, err := os.FindProcess(s.WorkerPID)
	if err != nil {
		t.Fatal(err)
	}
	return worker
}

// settled waits until no container is left and makes sure that nothing of any is.
func settled(t *testing.T) {
	t.Helper()
	d := world.daemon
	eventually(t, "no container is left", func() bool {
		s, err := d.client.Status()
		return err == nil && s.Containers == 0
	})
	s, err := d.client.Status()
	if err != nil {
		t.Fatal(err)
	}
	if s.IDRegion.Used != 0 {
		t.Errorf("%d user ids are still in use", s.IDRegion.Used)
	}
	for _, dir := range []string{
		filepath.Join(d.runDir, "containers"), filepath.Join(d.stateDir, "containers"),
		filepath.Join(d.runDir, "views/exact"), filepath.Join(d.runDir, "views/pushed"), filepath.Join(d.runDir, "views/writable"),
	} {
		left := slices.DeleteFunc(names(t, dir), func(name string) bool { return name == "generation" })
		if len(left) > 0 {
			t.Errorf("%s still holds %v", dir, left)
		}
	}
	eventually(t, "no bundle is left", func() bool { return len(names(t, filepath.Join(d.stateDir, "bundles"))) == 0 })
	eventually(t, "no cgroup of a container is left", func() bool { return len(containerCgroups(t)) == 0 })
	if left, err := filepath.Glob(filepath.Join(world.dir, "*/*/*/work.cloister-*")); err != nil || left != nil {
		t.Errorf("work directories are left: %v, %v", left, err)
	}
}

func names(t *testing.T, dir string) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

// nothingMounted makes sure that the tests left no mount on the host.
func nothingMounted(dir string) error {
	mounts, err := mountinfo.GetMounts(mountinfo.PrefixFilter(dir))
	if err != nil {
		return err
	}
	var errs []error
	for _, m := range mounts {
		errs = append(errs, fmt.Errorf("%s is still mounted", m.Mountpoint))
	}
	return errors.Join(errs...)
}

// cgroupParent is the cgroup of all containers of the tests.
func cgroupParent() string { return "/" + filepath.Base(world.dir) }

// cgroupDirs are the directories of the tests' cgroup.
func cgroupDirs() []string {
	v1, _ := filepath.Glob("/sys/fs/cgroup/*" + cgroupParent()) // the pattern is right
	v2, _ := filepath.Glob("/sys/fs/cgroup" + cgroupParent())
	return append(v1, v2...)
}

// conmonCgroup is where podman puts its monitors, and leaves it.
const conmonCgroup = "conmon"

// containerCgroups are the cgroups in the tests' one.
func containerCgroups(t *testing.T) (all []string) {
	t.Helper()
	for _, dir := range cgroupDirs() {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.IsDir() && e.Name() != conmonCgroup {
				all = append(all, filepath.Join(dir, e.Name()))
			}
		}
	}
	return all
}

// removeCgroups removes the cgroups that runtimes made for the tests, which have to
// be empty once podman's monitors have ended.
func removeCgroups() error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.Now().Add(time.Minute)
	for {
		var errs []error
		for _, dir := range cgroupDirs() {
			_ = os.Remove(filepath.Join(dir, conmonCgroup))
			errs = append(errs, os.Remove(dir))
		}
		err := errors.Join(errs...)
		if err == nil || time.Now().After(deadline) {
			return err
		}
		<-tick.C
	}
}

// mustStop, mustStart change the life of the shared daemon in the middle of a test.
func mustStop(t *testing.T) {
	t.Helper()
	if err := world.daemon.stop(); err != nil {
		t.Fatal(err)
	}
}

func mustStart(t *testing.T) {
	t.Helper()
	if err := world.daemon.start(); err != nil {
		t.Fatal(err)
	}
}

// logged reports whether the daemon has logged a line with all of the words.
func logged(t *testing.T, words ...string) bool {
	t.Helper()
	text, err := os.ReadFile(world.daemon.log)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) }) {
			return true
		}
	}
	return false
}
