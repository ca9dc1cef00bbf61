package emul

import (
	"os"
	"strings"
	"testing"

	"cloister/cgroupview"
	"cloister/cgroupview/cgrouptest"
)

// With all CPUs and a topology that is the container's already, the file is the
// host's, byte for byte.
func TestCPUInfoUnchanged(t *testing.T) {
	for _, host := range []string{"x86-6.18", "arm64"} {
		text, err := os.ReadFile("testdata/hosts/" + host + "/proc/cpuinfo")
		if err != nil {
			t.Fatal(err)
		}
		info, err := parseCPUInfo(text)
		if err != nil {
			t.Fatal(err)
		}
		var got []byte
		for i := range len(info.blocks) {
			got = appendCPUInfo(got, info.blocks[i], i, len(info.blocks))
		}
		if string(got) != string(text) {
			t.Errorf("%s: %s\nwant %s", host, got, text)
		}
	}
}

// cpu0 of the container is described by the first CPU that it may run on, which
// can be of another model than the host's cpu0.
func TestCPUInfoOfTheContainersCPUs(t *testing.T) {
	inModes(t, func(t *testing.T, r *rig) {
		r.fake.Write("proc/cpuinfo", "processor\t: 0\nmodel name\t: little\n\nprocessor\t: 3\nmodel name\t: big\n\n")
		r.set(func(v *cgrouptest.Values) { v.CPUs = "3" })
		if got, want := r.read("proc/cpuinfo"), "processor\t: 0\nmodel name\t: big\n\n"; got != want {
			t.Errorf("cpuinfo %q, want %q", got, want)
		}
	})
}

// The host's file is read again when CPUs come or go, and otherwise not.
func TestCPUInfoFollowsHotplug(t *testing.T) {
	r := newRig(t, cgroupview.Unified, nil)
	before := r.read("proc/cpuinfo")
	r.fake.Write("proc/cpuinfo", "processor\t: 0\nmodel name\t: new\n\n")
	r.step(testPeriod)
	if got := r.read("proc/cpuinfo"); got != before {
		t.Error("cpuinfo changed while the CPUs did not")
	}
	r.fake.Write("sys/devices/system/cpu/online", "0-1\n")
	r.set(func(v *cgrouptest.Values) { v.CPUs = "0-1" })
	if got := r.read("proc/cpuinfo"); strings.Count(got, "model name\t: new") != 2 {
		t.Errorf("cpuinfo %q, want two new CPUs", got)
	}
}

func TestParseCPUInfoRefuses(t *testing.T) {
	refuses(t, parseCPUInfo, "", "vendor_id : IBM/S390\n# processors : 2\n", "processor : x\n\n", "processor\n\n")
}

func FuzzParseCPUInfo(f *testing.F) {
	f.Add([]byte("processor\t: 0\nphysical id\t: 0\nsiblings\t: 2\npower management:\n\nprocessor\t: 1\n\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := parseCPUInfo(b)
		if err != nil {
			return
		}
		for cpu, parts := range h.blocks {
			text := appendCPUInfo(nil, parts, cpu, len(h.blocks))
			if again, err := parseCPUInfo(text); err != nil || len(again.blocks) != 1 {
				t.Fatalf("%q reads back as %v, %v", text, again, err)
			}
		}
	})
}
