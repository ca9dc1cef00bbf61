//go:build root

package cgroupview_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/moby/sys/mountinfo"

	"cloister/cgroupview"
)

// The running kernel raises events in its cgroup2 tree, too, whatever controllers it
// has there: with no other hierarchy in sight all limits are read in it.
func TestWatcherOfKernelV2(t *testing.T) {
	mounts, err := mountinfo.GetMounts(mountinfo.FSTypeFilter("cgroup2"))
	if err != nil || len(mounts) == 0 {
		t.Skipf("needs a mounted cgroup2 tree: %v", err)
	}
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "proc/self"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(mounts[0].Mountpoint, filepath.Join(root, "v2")); err != nil {
		t.Fatal(err)
	}
	info := "50 22 0:50 / /v2 rw - cgroup2 cgroup2 rw\n"
	if err := os.WriteFile(filepath.Join(root, "proc/self/mountinfo"), []byte(info), 0o644); err != nil {
		t.Fatal(err)
	}
	above := fmt.Sprintf("/cloister-test-watch-%d", os.Getpid())
	for _, path := range []string{above, above + "/x"} {
		dir := filepath.Join(mounts[0].Mountpoint, path)
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := os.Remove(dir); err != nil {
				t.Errorf("leftover cgroup: %v", err)
			}
		})
	}
	l, err := cgroupview.Detect(cgroupview.Root(root))
	if err != nil {
		t.Fatal(err)
	}
	g, err := l.Open(cgroupview.Paths{Unified: above + "/x"})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	c, _ := watch(t, newWatcher(t), g)
	for _, path := range []string{above, above + "/x"} {
		file := filepath.Join(mounts[0].Mountpoint, path, "cgroup.subtree_control")
		if err := os.WriteFile(file, []byte("\n"), 0); err != nil { // asks for nothing
			t.Fatal(err)
		}
		c.Wait(t, path)
	}
}
