package cgroupview_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cloister/cgroupview"
	"cloister/cgroupview/cgrouptest"
)

func TestDirs(t *testing.T) {
	for _, mode := range cgrouptest.Modes {
		t.Run(mode.String(), func(t *testing.T) {
			h := cgrouptest.New(t, mode)
			h.Cgroup("/a/b")
			l := h.Layout()
			dirs := l.Dirs(l.At("/a/b"))
			if len(dirs) == 0 {
				t.Fatal("no directory")
			}
			for i, dir := range dirs {
				// On a hybrid host the cgroup need not be in the cgroup2 tree.
				_, err := os.Stat(dir)
				if err != nil && !(mode == cgroupview.Hybrid && strings.Contains(dir, "unified")) || !strings.HasSuffix(dir, "/a/b") {
					t.Errorf("%s: %v", dir, err)
				}
				if slices.Contains(dirs[:i], dir) {
					t.Errorf("%s is there twice", filepath.Base(dir))
				}
			}
			for _, path := range []string{"/", "", "/../x", "a/b"} {
				if got := l.Dirs(l.At(path)); len(got) != 0 {
					t.Errorf("%q: got %v, want none", path, got)
				}
			}
		})
	}
}
