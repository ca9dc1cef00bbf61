package emul

import (
	"os"
	"testing"

	"cloister/cgroupview"
	"cloister/cgroupview/cgrouptest"
)

func TestDiskstats(t *testing.T) {
	inModes(t, func(t *testing.T, r *rig) {
		if got := r.read("proc/diskstats"); got != "" {
			t.Errorf("without I/O %q, want nothing", got)
		}
		r.set(func(v *cgrouptest.Values) {
			v.IO = []cgroupview.DeviceIO{
				{Major: 9, Minor: 9, RBytes: 512, RIOs: 1}, // gone from the host
				{Major: 253, Minor: 0},                     // never used
				{Major: 259, Minor: 0, RBytes: 8192, RIOs: 2, WBytes: 4096, WIOs: 1, DBytes: 1024, DIOs: 3},
			}
		})
		want := " 259       0 nvme0n1 2 0 16 0 1 0 8 0 0 0 0 3 0 2 0 0 0\n"
		if got := r.read("proc/diskstats"); got != want {
			t.Errorf("diskstats %q, want %q", got, want)
		}
	})
}

// The lines have as many columns as the running kernel's.
func TestDiskstatsColumns(t *testing.T) {
	v := &view{usage: cgroupview.Usage{IO: []cgroupview.DeviceIO{{Major: 8, RBytes: 512, RIOs: 1, DBytes: 512, DIOs: 5}}}}
	for host, want := range map[string]string{
		"   8       0 sda 1 2 3 4 5 6 7 8 9 10 11\n":                   "   8       0 sda 1 0 1 0 0 0 0 0 0 0 0\n",
		"   8       0 sda 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15\n":       "   8       0 sda 1 0 1 0 0 0 0 0 0 0 0 5 0 1 0\n",
		"   8       0 sda 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17\n": "   8       0 sda 1 0 1 0 0 0 0 0 0 0 0 5 0 1 0 0 0\n",
	} {
		h, err := parseDiskstats([]byte(host))
		if err != nil {
			t.Fatal(err)
		}
		if got := string(renderDiskstats(nil, v, h, input{})); got != want {
			t.Errorf("host %q: %q, want %q", host, got, want)
		}
	}
}

func TestParseDiskstats(t *testing.T) {
	text, err := os.ReadFile("testdata/hosts/x86-6.18/proc/diskstats")
	if err != nil {
		t.Fatal(err)
	}
	h, err := parseDiskstats(text)
	if err != nil || h.columns != 17 || len(h.devices) != 10 || h.devices[8].prefix != " 254       0 vda" {
		t.Errorf("recorded file: %+v, %v", h, err)
	}
	refuses(t, parseDiskstats, "x\n", "8 x sda 1\n", "8 0\n", "\n")
}

func FuzzParseDiskstats(f *testing.F) {
	f.Add([]byte("   8       0 sda 1 2 3 4 5 6 7 8 9 10 11\n"))
	f.Fuzz(func(_ *testing.T, b []byte) { _, _ = parseDiskstats(b) })
}
