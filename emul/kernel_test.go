package emul

import (
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"

	"cloister/cgroupview"
)

// onTheKernel returns a container of the test itself, in a cgroup of the running kernel.
func onTheKernel(t *testing.T, group *cgroupview.Group) *Container {
	t.Helper()
	host, err := NewHost(HostOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(host.Close)
	c, err := host.NewContainer(ContainerConfig{Group: group, PID: os.Getpid()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// TestKernel renders the files of the running kernel for the cgroup of the test
// itself, and compares their shape with the kernel's.
func TestKernel(t *testing.T) {
	layout, err := cgroupview.Detect("/")
	if err != nil {
		t.Skipf("needs mounted cgroups: %v", err)
	}
	paths, err := layout.PathsOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	group, err := layout.Open(paths)
	if err != nil {
		t.Skipf("needs its cgroup %v to be visible: %v", paths, err)
	}
	c := onTheKernel(t, group)
	checkCPUCount(t, c, layout.Mode().String(), c.view.cpus.visible)
	for path, text := range readAll(t, c) {
		native, err := os.ReadFile("/" + path)
		if errors.Is(err, os.ErrPermission) {
			continue // the test is not root's
		}
		if err != nil {
			t.Fatal(err)
		}
		checkShape(t, path, text, string(native))
	}
}

// checkShape compares the shape of a file with that of the kernel's own.
func checkShape(t *testing.T, path, file, native string) {
	t.Helper()
	got, want := shape(file), shape(native)
	same := true
	switch path {
	case "proc/meminfo": // a newer kernel may have lines that are left out
		same = strings.Contains(got, "MemTotal: 0 kB\nMemFree: 0 kB\n") && len(got) <= len(want)
	case "proc/uptime", "proc/loadavg", "proc/vmstat":
		same = got == want
	case "proc/swaps":
		same = strings.HasPrefix(got, swapsHeader) && strings.HasPrefix(want, swapsHeader)
	case "proc/slabinfo":
		same = strings.HasPrefix(want, got)
	case "proc/diskstats", "proc/partitions", "proc/interrupts", "proc/softirqs", "proc/zoneinfo": // less of the same
		want = fewerCPUs(want)
		for line := range strings.Lines(fewerCPUs(got)) {
			same = same && (strings.Contains(want, line) || want == "")
		}
	}
	if !same || got == "" && path != "proc/diskstats" {
		t.Errorf("%s has the shape\n%s\nwant\n%s", path, got, want)
	}
}

// fewerCPUs makes one column of all that stand side by side in a shape.
func fewerCPUs(shape string) string {
	shape = regexp.MustCompile(`(CPU0 )+`).ReplaceAllString(shape, "CPU0 ")
	return regexp.MustCompile(`( 0)+`).ReplaceAllString(shape, " 0")
}

// shape replaces every number in text by 0 and every blank by one space.
func shape(text string) string {
	text = regexp.MustCompile(`[0-9]+`).ReplaceAllString(text, "0")
	return regexp.MustCompile(` +`).ReplaceAllString(text, " ")
}
