//go:build root

package emul

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"cloister/cgroupview"
	"cloister/cgroupview/cgrouptest"
)

// kernelCgroup makes a cgroup, below one of its own, in every hierarchy of the running
// kernel.
func kernelCgroup(t *testing.T, l *cgroupview.Layout) (p cgroupview.Paths, dirs []string) {
	t.Helper()
	above := fmt.Sprintf("/cloister-test-%d", os.Getpid())
	for _, path := range []string{above, above + "/x"} {
		p = l.At(path)
		dirs = l.Dirs(p)
		for _, dir := range dirs {
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("leftover cgroup: %v", err)
				}
			})
			for _, file := range []string{"cpuset.cpus", "cpuset.mems"} { // v1 has nothing to begin with
				if content, err := os.ReadFile(filepath.Join(dir, "..", file)); err == nil && len(content) > 1 {
					setLimit(t, []string{dir}, file, string(content))
				}
			}
		}
	}
	return p, dirs
}

// setLimit writes a file where there is one.
func setLimit(t *testing.T, dirs []string, file, value string) (ok bool) {
	t.Helper()
	for _, dir := range dirs {
		f, err := os.OpenFile(filepath.Join(dir, file), os.O_WRONLY, 0)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
			continue
		}
		if err == nil {
			_, err = f.WriteString(value)
			err = errors.Join(err, f.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
		ok = true
	}
	return ok
}

// Limits that are written in cgroups of the running kernel are noticed though nobody
// reads.
func TestKernelChangesAreNoticed(t *testing.T) {
	layout, err := cgroupview.Detect("/")
	if err != nil {
		t.Fatal(err)
	}
	host, err := NewHost(HostOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(host.Close)
	paths, dirs := kernelCgroup(t, layout)
	group, err := layout.Open(paths)
	if err != nil {
		t.Fatal(err)
	}
	n := cgrouptest.NewNotices()
	c, err := host.NewContainer(ContainerConfig{Group: group, PID: os.Getpid(), Changed: n.Call})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	if err := c.Unwatched(); err != nil {
		t.Fatal(err)
	}
	visible := func(cpus int) func() bool {
		return func() bool {
			c.mu.RLock()
			defer c.mu.RUnlock()
			return c.view.cpus.visible == cpus
		}
	}
	all := c.view.cpus.visible
	if all < 2 {
		t.Skip("needs two CPUs")
	}
	var above []string
	for _, dir := range dirs {
		above = append(above, filepath.Dir(dir))
	}
	for where, dirs := range map[string][]string{"in the cgroup": dirs, "above": above} {
		if !setLimit(t, dirs, "cpu.max", "100000 100000") && !setLimit(t, dirs, "cpu.cfs_quota_us", "100000") {
			t.Skip("needs a CPU controller")
		}
		n.Until(t, "a quota "+where, visible(1))
		if !setLimit(t, dirs, "cpu.max", "max 100000") {
			setLimit(t, dirs, "cpu.cfs_quota_us", "-1")
		}
		n.Until(t, "no quota "+where, visible(all))
	}
	if setLimit(t, dirs, "cpuset.cpus", "0") {
		n.Until(t, "a set of CPUs", visible(1))
	}
}
