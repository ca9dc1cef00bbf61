//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cloister/test/lab"
)

// kill leaves neither the daemon's keeper nor its worker.
func kill(t *testing.T) {
	t.Helper()
	w := worker(t)
	_ = world.Daemon.Cmd.Process.Kill()
	_ = w.Kill()
	_ = world.Daemon.Cmd.Wait()
}

func worker(t *testing.T) *os.Process {
	t.Helper()
	w, err := world.Daemon.Worker()
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// settled waits until no container is left and makes sure that nothing of any is.
func settled(t *testing.T) {
	t.Helper()
	d := world.Daemon
	eventually(t, "no container is left", func() bool {
		s, err := d.Client.Status()
		return err == nil && s.Containers == 0
	})
	s, err := d.Client.Status()
	if err != nil {
		t.Fatal(err)
	}
	if s.IDRegion.Used != 0 {
		t.Errorf("%d user ids are still in use", s.IDRegion.Used)
	}
	for _, dir := range []string{
		filepath.Join(d.RunDir, "containers"), filepath.Join(d.StateDir, "containers"),
		filepath.Join(d.RunDir, "views/exact"), filepath.Join(d.RunDir, "views/pushed"), filepath.Join(d.RunDir, "views/writable"),
	} {
		said := false
		eventually(t, "nothing of a container is left in "+dir, func() bool {
			left := slices.DeleteFunc(names(t, dir), func(name string) bool { return name == "generation" })
			if len(left) > 0 && !said {
				said = true
				t.Logf("%s still holds %v; the daemon's log about that:\n%s", dir, left, logOf(t, left))
			}
			return len(left) == 0
		})
	}
	eventually(t, "no bundle is left", func() bool { return len(names(t, filepath.Join(d.StateDir, "bundles"))) == 0 })
	eventually(t, "no cgroup of a container is left", func() bool { return len(containerCgroups(t)) == 0 })
	if left, err := filepath.Glob(filepath.Join(world.Dir, "*/*/*/work.cloister-*")); err != nil || left != nil {
		t.Errorf("work directories are left: %v, %v", left, err)
	}
}

// logOf returns the lines of the daemon's log that name one of keys.
func logOf(t *testing.T, keys []string) string {
	t.Helper()
	text, err := os.ReadFile(world.Daemon.Log)
	if err != nil {
		t.Fatal(err)
	}
	var about strings.Builder
	for line := range strings.Lines(string(text)) {
		if slices.ContainsFunc(keys, func(key string) bool { return strings.Contains(line, key) }) {
			about.WriteString(line)
		}
	}
	return about.String()
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

// containerCgroups are the cgroups in the tests' one.
func containerCgroups(t *testing.T) (all []string) {
	t.Helper()
	for _, dir := range world.CgroupDirs() {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.IsDir() && e.Name() != lab.ConmonCgroup {
				all = append(all, filepath.Join(dir, e.Name()))
			}
		}
	}
	return all
}

// mustStop, mustStart change the life of the shared daemon in the middle of a test.
func mustStop(t *testing.T) {
	t.Helper()
	if err := world.Daemon.Stop(); err != nil {
		t.Fatal(err)
	}
}

func mustStart(t *testing.T) {
	t.Helper()
	if err := world.Daemon.Start(); err != nil {
		t.Fatal(err)
	}
}

// logged reports whether the daemon has logged a line with all of the words.
func logged(t *testing.T, words ...string) bool {
	t.Helper()
	text, err := os.ReadFile(world.Daemon.Log)
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
