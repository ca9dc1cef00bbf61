package emul

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cloister/cgroupview"
)

// The index of a file is part of node ids in use: testdata/golden/files only grows at its
// end.
func TestFileIDsStay(t *testing.T) {
	var got strings.Builder
	for _, f := range Files() {
		kind := '-'
		if f.Dir {
			kind = 'd'
		}
		fmt.Fprintf(&got, "%c %04o %s\n", kind, f.Mode, f.Path)
		if f.Mode&^0o777 != 0 || f.Mode == 0 {
			t.Errorf("%s has mode %o", f.Path, f.Mode)
		}
	}
	const golden = "testdata/golden/files"
	if before, err := os.ReadFile(golden); err != nil || !strings.HasPrefix(got.String(), string(before)) {
		t.Fatalf("files have moved or gone since %s was written (%v):\n%s", golden, err, cmp.Diff(string(before), got.String()))
	}
	compareGolden(t, golden, got.String())
}

// A file has one of the three ways to say what it contains, and what the others need
// not.
func TestFilesAreOfOneKind(t *testing.T) {
	for _, f := range files {
		kinds := 0
		for _, is := range []bool{f.Dir, f.render != nil, f.group != nil} {
			if is {
				kinds++
			}
		}
		if kinds != 1 {
			t.Errorf("%s is of %d kinds", f.Path, kinds)
		}
		if f.render == nil && (f.nodes || f.origin.path != "" || f.series != noSeries) {
			t.Errorf("%s: nothing takes what it is said to need", f.Path)
		}
	}
}

func TestViews(t *testing.T) {
	views := map[string]int{}
	for _, v := range Views() {
		views[v.Path] = len(v.Files)
		for _, id := range v.Files {
			if path := files[id].Path; path != v.Path && !strings.HasPrefix(path, v.Path+"/") {
				t.Errorf("%s is in the view %s", path, v.Path)
			}
		}
	}
	for _, path := range []string{
		"proc/meminfo", "proc/sys/kernel/random/boot_id", "sys/devices/virtual/dmi/id/product_uuid",
		"sys/kernel/debug", "sys/kernel/tracing", "sys/kernel/security", "sys/kernel/config",
	} {
		if views[path] != 1 {
			t.Errorf("%d files in the view %s, want 1", views[path], path)
		}
	}
	for _, dir := range []string{"sys/devices/system/cpu", "sys/devices/system/node"} {
		if views[dir] < 10 {
			t.Errorf("%d files in the view %s", views[dir], dir)
		}
	}
	for path := range views {
		if strings.Contains(path, "*") {
			t.Errorf("%s is no path of a container's", path)
		}
	}
}

func TestSupported(t *testing.T) {
	r := newRig(t, cgroupview.Unified, func(r *rig) {
		r.fake.Write("proc/cpuinfo", "vendor_id       : IBM/S390\n# processors    : 2\n")
		r.fake.Write(cpuDir+"/nohz_full", "none\n")
		r.fake.Write("sys/kernel/tracing/README", "")
		r.fake.Write("sys/kernel/debug", "")
		if err := os.Remove(r.fake.Root.Path("proc/swaps")); err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(r.fake.Root.Path(cpuDir, "cpu0/cache/index3")); err != nil {
			t.Fatal(err)
		}
	})
	unknown := map[string]bool{"proc/cpuinfo": true, cpuDir + "/nohz_full": true}
	for path, want := range map[string]bool{
		"proc/meminfo":                            true,
		"proc/cpuinfo":                            false,
		"proc/swaps":                              false,
		cpuDir + "/possible":                      true,
		cpuDir + "/nohz_full":                     false,
		cpuDir + "/cpu*/cache/index2/size":        true,
		cpuDir + "/cpu*/cache/index3/size":        false,
		cpuDir + "/cpufreq/policy*/affected_cpus": true,
		nodeDir + "/node*/meminfo":                true,
		"sys/kernel/tracing":                      true,
		"sys/kernel/debug":                        false,
		"sys/kernel/config":                       false,
	} {
		id, _, ok := lookUp(path)
		got, err := r.host.Supported(id)
		if !ok || got != want || errors.Is(err, cgroupview.ErrFormat) != unknown[path] || err != nil && !unknown[path] {
			t.Errorf("Supported(%s) = %v, %v, want %v", path, got, err, want)
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
