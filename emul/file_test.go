package emul

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"cloister/cgroupview"
)

// The index of a file is part of node ids in use: testdata/files only grows at its end.
func TestFileIDsStay(t *testing.T) {
	var got strings.Builder
	for _, f := range Files() {
		fmt.Fprintf(&got, "%04o %s\n", f.Mode, f.Path)
		if f.Mode&^0o777 != 0 || f.Mode == 0 {
			t.Errorf("%s has mode %o", f.Path, f.Mode)
		}
	}
	compareGolden(t, "testdata/files", got.String())
}

func TestSupported(t *testing.T) {
	r := newRig(t, cgroupview.Unified, func(r *rig) {
		r.fake.Write("proc/cpuinfo", "vendor_id       : IBM/S390\n# processors    : 2\n")
		if err := os.Remove(r.fake.Root.Path("proc/swaps")); err != nil {
			t.Fatal(err)
		}
	})
	for i, f := range Files() {
		want := f.Path != "proc/cpuinfo" && f.Path != "proc/swaps"
		if got, err := r.host.Supported(FileID(i)); err != nil || got != want {
			t.Errorf("Supported(%s) = %v, %v, want %v", f.Path, got, err, want)
		}
	}
	for _, id := range []FileID{-1, FileID(len(files))} {
		if _, err := r.host.Supported(id); err == nil {
			t.Errorf("Supported(%d) takes no error", id)
		}
		if _, err := r.c.Render(nil, id, 0); err == nil {
			t.Errorf("Render(%d) takes no error", id)
		}
	}
}
