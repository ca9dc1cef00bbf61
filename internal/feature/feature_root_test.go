//go:build root

package feature

import (
	"os"
	"testing"

	"github.com/moby/sys/mountinfo"

	"cloister/internal/sys/systest"
)

// The probes find on this machine what its kernel is known to do, and leave nothing
// behind.
func TestProbe(t *testing.T) {
	dir := systest.Dir(t)
	all := Probe(dir)
	for _, f := range all {
		if f.Name == "" || f.Purpose == "" || f.Kernel == "" {
			t.Errorf("%+v: something is not said", f)
		}
		if f.Needed && f.Err != nil {
			t.Errorf("%s does not work here: %v", f.Name, f.Err)
		}
	}
	if m := Map(all); len(m) != len(all) {
		t.Errorf("two features have one name: %v", m)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left on disk: %v, %v", left, err)
	}
	if mounts, err := mountinfo.GetMounts(mountinfo.PrefixFilter(dir)); err != nil || len(mounts) > 0 {
		t.Errorf("left mounted: %v, %v", mounts, err)
	}
}

// Where a probe can't do its work the feature is missing, and not there.
func TestProbeOfADirectoryThatIsGone(t *testing.T) {
	works := Map(Probe("/nonexistent"))
	for _, name := range []string{"mountAPI", "idMappedMounts", "idMappedOverlay", "idMappedTmpfs"} {
		if works[name] {
			t.Errorf("%s works without a directory", name)
		}
	}
}
