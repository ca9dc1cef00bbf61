package emul

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cloister/cgroupview"
	"cloister/cgroupview/cgrouptest"
)

// vmstat returns the lines of the container's vmstat.
func (r *rig) vmstat() map[string]uint64 {
	r.tb.Helper()
	values := map[string]uint64{}
	for line := range strings.Lines(r.read("proc/vmstat")) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		values[name] = number(r.tb, value)
	}
	return values
}

func TestVmstat(t *testing.T) {
	inModes(t, func(t *testing.T, r *rig) {
		r.set(goldenValues)
		r.set(func(v *cgrouptest.Values) { v.Events.Pgfault, v.Events.Pgmajfault = 12345, 67 })
		got, m := r.vmstat(), r.meminfo()
		page := pageSize / kib
		for name, want := range map[string]uint64{
			"nr_free_pages":                 m["MemFree"] / page,
			"nr_anon_pages":                 m["AnonPages"] / page,
			"nr_file_pages":                 (m["Cached"] + m["SwapCached"]) / page,
			"nr_active_file":                m["Active(file)"] / page,
			"nr_zone_inactive_anon":         m["Inactive(anon)"] / page,
			"nr_zone_write_pending":         m["Dirty"] / page,
			"nr_slab_unreclaimable":         m["SUnreclaim"] / page,
			"nr_kernel_stack":               m["KernelStack"],
			"nr_anon_transparent_hugepages": m["AnonHugePages"] / m["Hugepagesize"],
			"pgpgin":                        40 << 10, // of two devices
			"pgpgout":                       8 << 10,
			"pgfault":                       12345,
			"pgmajfault":                    67,
			"nr_memmap_boot_pages":          0, // the host's
			"nr_unstable":                   0,
		} {
			if v, ok := got[name]; !ok || v != want {
				t.Errorf("%s %d, %v, want %d", name, v, ok, want)
			}
		}
	})
}

// A container in which everything has happened: no counter is another one's, and none is
// forgotten.
func TestVmstatCounters(t *testing.T) {
	r := newRig(t, cgroupview.Unified, nil)
	want := map[string]uint64{}
	var stat strings.Builder
	for i, c := range vmCounters {
		switch want[c.name] = uint64(1000 + i); c.name {
		case "oom_kill":
			r.fake.Write(r.cgroup.File("", "memory.events"), fmt.Sprintf("oom 7\noom_kill %d\n", want[c.name]))
		case "pgpgin":
			r.fake.Write(r.cgroup.File("", "io.stat"), fmt.Sprintf("8:0 rbytes=%d wbytes=%d\n", want[c.name]*kib, (want[c.name]+1)*kib))
		default:
			fmt.Fprintf(&stat, "%s %d\n", c.name, want[c.name])
		}
	}
	r.fake.Write(r.cgroup.File("", "memory.stat"), stat.String())
	r.step(testPeriod)
	got := map[string]uint64{}
	for name, v := range r.vmstat() {
		if v >= 1000 && v < 2000 {
			got[name] = v
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("counters (-want +got):\n%s", diff)
	}
}

// Every name is one of some kernel's that we have a file of.
func TestVmstatNames(t *testing.T) {
	known := map[string]bool{}
	for _, host := range []string{"x86-6.1", "x86-6.12", "x86-6.18"} {
		text, err := os.ReadFile("testdata/hosts/" + host + "/proc/vmstat")
		if err != nil {
			t.Fatal(err)
		}
		lines, err := parseVmstat(text)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range lines {
			known[strings.TrimSuffix(l.name, " ")] = true
		}
	}
	for name := range vmstatValues {
		if !known[name] {
			t.Errorf("no kernel has the line %s", name)
		}
	}
}

// When a device goes, its I/O is no longer listed; when a controller is switched off
// and on, it begins anew.
func TestVmstatCountersDoNotFall(t *testing.T) {
	inModes(t, func(t *testing.T, r *rig) {
		r.set(func(v *cgrouptest.Values) {
			v.IO = []cgroupview.DeviceIO{{Major: 259, RBytes: mib}, {Major: 253, RBytes: mib}}
			v.Events.Pgfault = 500
		})
		r.vmstat()
		r.set(func(v *cgrouptest.Values) {
			v.IO = v.IO[:1]
			v.Events.Pgfault = 20
		})
		if got := r.vmstat(); got["pgpgin"] != 2*kib || got["pgfault"] != 500 {
			t.Errorf("after a fall pgpgin %d, pgfault %d, want %d, 500 still", got["pgpgin"], got["pgfault"], 2*kib)
		}
		r.c = r.restart(r.c)
		r.set(func(v *cgrouptest.Values) {
			v.IO[0].RBytes += 3 * kib
			v.Events.Pgfault = 27
		})
		if got := r.vmstat(); got["pgpgin"] != 2*kib+3 || got["pgfault"] != 507 {
			t.Errorf("later pgpgin %d, pgfault %d, want %d, 507", got["pgpgin"], got["pgfault"], 2*kib+3)
		}
	})
}

func TestParseVmstatRefuses(t *testing.T) {
	refuses(t, parseVmstat, "", "\n", "nr_free_pages\n", "nr_free_pages x\n", "nr_free_pages 1 2\n", " 5\n")
}

func FuzzParseVmstat(f *testing.F) {
	f.Add([]byte("nr_free_pages 2496130\npgpgin 1\nnr_unstable 0\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		lines, err := parseVmstat(b)
		if err != nil {
			return
		}
		text := renderVmstat(nil, &view{vm: newVMClock(nil)}, lines, input{})
		if again, err := parseVmstat(text); err != nil || len(again) != len(lines) {
			t.Fatalf("%q reads back as %d lines, %v", text, len(again), err)
		}
	})
}
