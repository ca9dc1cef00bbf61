package emul

import (
	"os"
	"testing"

	"cloister/cgroupview"
	"cloister/cgroupview/cgrouptest"
)

func TestPartitions(t *testing.T) {
	inModes(t, func(t *testing.T, r *rig) {
		const header = "major minor  #blocks  name\n\n"
		if got := r.read("proc/partitions"); got != header {
			t.Errorf("without I/O %q, want %q", got, header)
		}
		r.set(func(v *cgrouptest.Values) {
			v.IO = []cgroupview.DeviceIO{
				{Major: 9, Minor: 9, RIOs: 1},   // gone from the host
				{Major: 253, Minor: 0},          // never used
				{Major: 259, Minor: 0, DIOs: 3}, // discarded only
			}
		})
		if got, want := r.read("proc/partitions"), header+" 259        0  937770584 nvme0n1\n"; got != want {
			t.Errorf("partitions %q, want %q", got, want)
		}
	})
}

// A container that has used all devices sees the host's file.
func TestPartitionsUnchanged(t *testing.T) {
	text, err := os.ReadFile("testdata/hosts/x86-6.12/proc/partitions")
	if err != nil {
		t.Fatal(err)
	}
	devices, err := parsePartitions(text)
	if err != nil {
		t.Fatal(err)
	}
	v := &view{usage: cgroupview.Usage{IO: []cgroupview.DeviceIO{{Major: 254, RIOs: 1}, {Major: 254, Minor: 16, RIOs: 1}}}}
	if got := string(renderPartitions(nil, v, devices, input{})); got != string(text) {
		t.Errorf("partitions\n%s\nwant\n%s", got, text)
	}
}

func TestParsePartitions(t *testing.T) {
	refuses(t, parsePartitions, "8 0 5\n", "x 0 5 sda\n", "8 x 5 sda\n", "8 0 x sda\n", "8 0 5 sda 1\n")
	if devices, err := parsePartitions(nil); err != nil || len(devices) != 0 {
		t.Errorf("without devices %v, %v", devices, err)
	}
}

func FuzzParsePartitions(f *testing.F) {
	f.Add([]byte("major minor  #blocks  name\n\n 254        0  268435456 vda\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		devices, err := parsePartitions(b)
		if err != nil {
			return
		}
		for _, d := range devices {
			if again, err := parsePartitions([]byte(d.line)); err != nil || len(again) != 1 || again[0] != d {
				t.Fatalf("%q reads back as %v, %v", d.line, again, err)
			}
		}
	})
}
