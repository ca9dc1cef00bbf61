package emul

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"cloister/cgroupview"
)

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
	host, err := NewHost(HostOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	c, err := host.NewContainer(ContainerConfig{Group: group, PID: os.Getpid()})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	checkCPUCount(t, c, layout.Mode().String(), c.view.cpus.visible)
	for id, f := range Files() {
		if ok, err := host.Supported(FileID(id)); err != nil || !ok {
			t.Errorf("%s: Supported() = %v, %v", f.Path, ok, err)
		}
		native, err := os.ReadFile("/" + f.Path)
		if err != nil {
			t.Fatal(err)
		}
		got, want := shape(readFile(t, c, f.Path)), shape(string(native))
		switch f.Path {
		case "proc/meminfo": // a newer kernel may have lines that are left out
			if !strings.Contains(got, "MemTotal: 0 kB\nMemFree: 0 kB\n") || len(got) > len(want) {
				t.Errorf("%s has the shape\n%s\nwant\n%s", f.Path, got, want)
			}
		case "proc/uptime", "proc/loadavg":
			if got != want {
				t.Errorf("%s has the shape %q, want %q", f.Path, got, want)
			}
		case "proc/swaps":
			if !strings.HasPrefix(got, swapsHeader) || !strings.HasPrefix(want, swapsHeader) {
				t.Errorf("%s begins with %q, want %q", f.Path, got, want)
			}
		}
	}
}

// shape replaces every number in text by 0 and every blank by one space.
func shape(text string) string {
	text = regexp.MustCompile(`[0-9]+`).ReplaceAllString(text, "0")
	return regexp.MustCompile(` +`).ReplaceAllString(text, " ")
}
