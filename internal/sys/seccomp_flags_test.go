package sys

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

// The flag came with Linux 5.19, and none of the distributions' kernels lacks it since.
func TestHasWaitKillable(t *testing.T) {
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		t.Fatal(err)
	}
	major, rest, _ := strings.Cut(string(release), ".")
	minor, _, _ := strings.Cut(rest, ".")
	a, err := strconv.Atoi(major)
	if err != nil {
		t.Fatal(err)
	}
	b, err := strconv.Atoi(minor)
	if err != nil {
		t.Fatal(err)
	}
	if want := a > 5 || a == 5 && b >= 19; HasWaitKillable() != want {
		t.Errorf("Linux %s: got %v", release, !want)
	}
}
