//go:build root

package daemon

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"cloister/internal/sys"
)

// A version of before had other trees, and was killed.
func TestMountsOfAnotherVersionAreTakenAway(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"read-only", "writable"} {
		path := filepath.Join(dir, name)
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = sys.Detach(path) })
		if err := sys.Mount("cloister", path, "fuse.cloister", 0, fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", f.Fd())); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil { // as the kernel does for who is killed
			t.Fatal(err)
		}
	}
	if err := abortOthers(dir); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 || entries[0].Name() != "writable" {
		t.Errorf("there are %v, %v, want what is mounted anew", entries, err)
	}
	if mounts := mountsBelow(t, filepath.Join(dir, "read-only")); len(mounts) != 0 {
		t.Errorf("still mounted: %v", mounts)
	}
}
