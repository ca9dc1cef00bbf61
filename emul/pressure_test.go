package emul

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"cloister/cgroupview"
	"cloister/cgroupview/cgrouptest"
)

func TestPressure(t *testing.T) {
	inModes(t, func(t *testing.T, r *rig) {
		want := cgrouptest.Pressure(1234)
		r.set(func(v *cgrouptest.Values) {
			v.Pressure = map[string]string{"cpu": want, "io": want, "memory": want, "irq": want}
		})
		c := r.container(ContainerConfig{PID: initTask.TID}) // the cgroup is looked for when it's opened
		for _, resource := range []string{"cpu", "io", "memory", "irq"} {
			f := pressureFile(resource)
			id, _, ok := lookUp(f.Path)
			if !ok {
				t.Fatalf("no file %s", f.Path)
			}
			text, err := c.Render(nil, id, 0)
			switch {
			case r.fake.Mode == cgroupview.Legacy:
				if !errors.Is(err, unix.EOPNOTSUPP) {
					t.Errorf("%s: got %v, want EOPNOTSUPP", f.Path, err)
				}
			case err != nil || string(text) != want:
				t.Errorf("%s: got %q, %v, want %q", f.Path, text, err, want)
			}
		}
	})
}

func TestParseTrigger(t *testing.T) {
	for text, want := range map[string]string{
		"some 150000 2000000":         "some 150000 2000000\x00",
		"full 1 10000000\n\x00":       "full 1 10000000\x00",
		"some\t1  4000000 ":           "some 1 4000000\x00",
		"some 150000 1000000":         "", // the kernel would want CAP_SYS_RESOURCE
		"some 150000 0":               "",
		"some 150000":                 "",
		"some 150000 2000000 x":       "",
		"most 150000 2000000":         "",
		"some -1 2000000":             "",
		"some 1 99999999999999999999": "",
		"":                            "",
	} {
		got, err := parseTrigger([]byte(text))
		if string(got) != want || (err == nil) != (want != "") || err != nil && !errors.Is(err, unix.EINVAL) {
			t.Errorf("%q: got %q, %v, want %q", text, got, err, want)
		}
	}
}

func FuzzParseTrigger(f *testing.F) {
	f.Add([]byte("some 150000 2000000\x00"))
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := parseTrigger(text)
		if err != nil {
			return
		}
		fields := strings.Fields(strings.TrimRight(string(got), "\x00"))
		if len(fields) != 3 {
			t.Fatalf("%q became %q", text, got)
		}
		if window, err := strconv.Atoi(fields[2]); err != nil || window%2_000_000 != 0 {
			t.Errorf("%q became %q", text, got)
		}
	})
}

// A cgroup of the running kernel: its trigger fires when it is removed, at the latest.
func TestTriggerOnTheKernel(t *testing.T) {
	layout, err := cgroupview.Detect("/")
	if err != nil {
		t.Skipf("needs mounted cgroups: %v", err)
	}
	dir := ""
	for _, d := range layout.Dirs(layout.At("/cloister-emul-" + strconv.Itoa(os.Getpid()))) {
		if _, err := os.Stat(filepath.Join(filepath.Dir(d), "cgroup.controllers")); err == nil {
			dir = d
		}
	}
	if dir == "" {
		t.Skip("needs a cgroup2 mount")
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Skipf("needs to make a cgroup: %v", err)
	}
	t.Cleanup(func() { _ = os.Remove(dir) }) // as a rule it is gone by then
	if _, err := os.Stat(filepath.Join(dir, "cpu.pressure")); err != nil {
		t.Skipf("needs pressure accounting: %v", err)
	}
	paths := cgroupview.Paths{Unified: "/" + filepath.Base(dir), V1: map[string]string{}}
	for controller := range layout.At("/").V1 {
		paths.V1[controller] = "/"
	}
	// In a tree without controllers it counts as the container's own if another
	// hierarchy has it too.
	group, err := layout.Open(withMemory(t, layout, paths))
	if err != nil {
		t.Fatal(err)
	}
	c := onTheKernel(t, group)
	id, _, _ := lookUp("proc/pressure/cpu")
	if _, err := c.Write(id, []byte("some 1 3"), func() {}); !errors.Is(err, unix.EINVAL) {
		t.Errorf("no trigger: got %v, want EINVAL", err)
	}
	fired := make(chan struct{}, 100)
	trigger, err := c.Write(id, []byte("some 100000 2000000"), func() { fired <- struct{}{} })
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EOPNOTSUPP) {
		t.Skipf("needs to set triggers: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if events := trigger.Poll(); events != 0 {
		t.Errorf("before anything has happened: events %#x", events)
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	<-fired
	for trigger.Poll()&unix.POLLERR == 0 {
		<-fired
	}
	trigger.Close()
	trigger, err = c.Write(id, []byte("some 100000 2000000"), func() {})
	if err == nil {
		trigger.Close()
		t.Error("a trigger was set in a cgroup that is gone")
	}
}

// withMemory makes a cgroup of the same name in the hierarchy of the memory controller,
// where that is another.
func withMemory(t *testing.T, layout *cgroupview.Layout, paths cgroupview.Paths) cgroupview.Paths {
	t.Helper()
	if _, ok := paths.V1["memory"]; !ok {
		return paths
	}
	only := cgroupview.Paths{V1: map[string]string{"memory": paths.Unified}}
	for _, dir := range layout.Dirs(only) {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := os.Remove(dir); err != nil {
				t.Error(err)
			}
		})
	}
	paths.V1["memory"] = paths.Unified
	return paths
}
