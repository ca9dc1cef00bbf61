package emul

import (
	"os"
	"strings"
	"testing"

	"cloister/cgroupview"
	"cloister/cgroupview/cgrouptest"
)

// zoneSums adds up the figures of a container's zoneinfo over all zones, by the name of
// the line.
func zoneSums(tb testing.TB, text string) map[string]uint64 {
	tb.Helper()
	sums := map[string]uint64{}
	for line := range strings.Lines(text) {
		fields := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "pages "))
		if len(fields) != 2 || fields[1] == "stats" {
			continue
		}
		sums[fields[0]] += number(tb, fields[1])
	}
	return sums
}

// Over the nodes that a container may use, the figures add up to those of the other
// files.
func TestZoneinfo(t *testing.T) {
	inModes(t, func(t *testing.T, r *rig) {
		for _, mems := range []string{"0-1", "0", "1"} {
			r.set(goldenValues)
			r.set(func(v *cgrouptest.Values) { v.Mems, v.Events.Pgfault = mems, 1000 })
			text := r.read("proc/zoneinfo")
			if got, want := strings.Contains(text, "Node 1, zone   Normal\n"), mems != "0"; got != want {
				t.Errorf("nodes %s: node 1 shows: %v, want %v", mems, got, want)
			}
			checkZones(t, r)
			sums := zoneSums(t, text)
			if host := sums["min"] + sums["start_pfn:"] + sums["numa_hit"] + sums["high_max:"]; host != 0 {
				t.Errorf("nodes %s: the host shows in\n%s", mems, text)
			}
		}
	})
}

// checkZones checks that zoneinfo, vmstat and meminfo tell the same.
func checkZones(t *testing.T, r *rig) {
	t.Helper()
	text, m, vm := r.read("proc/zoneinfo"), r.meminfo(), r.vmstat()
	sums := zoneSums(t, text)
	if total := m["MemTotal"] * kib / pageSize; sums["managed"] != total || sums["present"] != total || sums["free"] != sums["nr_free_pages"] {
		t.Errorf("managed %d, present %d, free %d, nr_free_pages %d, want %d twice and the same twice",
			sums["managed"], sums["present"], sums["free"], sums["nr_free_pages"], total)
	}
	for name := range vmstatGauges {
		if sum, ok := sums[name]; ok && sum != vm[name] {
			t.Errorf("%s adds up to %d, vmstat has %d", name, sum, vm[name])
		}
	}
	for _, zone := range strings.Split(text, "Node ") {
		if z := zoneSums(t, zone); z["free"] > z["managed"] {
			t.Errorf("more free than there is in zone %s", zone)
		}
	}
	if got, want := strings.Count(text, "cpu: "), strings.Count(text, "  pagesets\n")*r.c.view.cpus.visible; got != want || want == 0 {
		t.Errorf("%d pagesets, want %d", got, want)
	}
}

// What has happened stays on the first node of the host, so that it does not go back.
func TestZoneinfoCounters(t *testing.T) {
	r := newRig(t, cgroupview.Unified, nil)
	for _, tt := range []struct {
		mems string
		want uint64
	}{{"0-1", 70}, {"0", 70}, {"1", 0}} {
		r.set(func(v *cgrouptest.Values) { v.Mems, v.Events.WorkingsetRefaultFile = tt.mems, 70 })
		if got := zoneSums(t, r.read("proc/zoneinfo"))["workingset_refault_file"]; got != tt.want {
			t.Errorf("nodes %s: refaults %d, want %d", tt.mems, got, tt.want)
		}
	}
}

// The memory of a node stands with its highest zone that has any, in proportion to
// that of the nodes.
func TestZoneinfoShares(t *testing.T) {
	text, err := os.ReadFile("testdata/hosts/x86-6.1/proc/zoneinfo")
	if err != nil {
		t.Fatal(err)
	}
	h, err := parseZoneinfo(text)
	if err != nil {
		t.Fatal(err)
	}
	if len(h.zones) != 10 || h.zones[0].managed != 0 || h.zones[1].managed != 3840+116656 || h.zones[6].managed != 128559 {
		t.Fatalf("zones %+v", h.zones)
	}
	v := &view{cpus: cpus{visible: 1}, vm: newVMClock(nil)}
	if v.nodes, err = cgroupview.ParseCPUSet([]byte("0-1")); err != nil {
		t.Fatal(err)
	}
	v.memory.total = (3840 + 116656 + 128559) * pageSize
	for zone := range strings.SplitSeq(string(renderZoneinfo(nil, v, h, input{}))[len("Node "):], "\nNode ") {
		header, _, _ := strings.Cut(zone, "\n")
		want := map[string]uint64{"0, zone    DMA32": 3840 + 116656, "1, zone    DMA32": 128559}[header]
		if got := zoneSums(t, zone)["managed"]; got != want {
			t.Errorf("%s: managed %d, want %d", header, got, want)
		}
	}
}

// No memory but the page that there always is, and no node that the host has.
func TestZoneinfoWithoutMemory(t *testing.T) {
	inModes(t, func(t *testing.T, r *rig) {
		r.set(func(v *cgrouptest.Values) { v.MemoryMax = 100 })
		if sums := zoneSums(t, r.read("proc/zoneinfo")); sums["managed"] != 1 || sums["free"] != 0 {
			t.Errorf("managed %d, free %d, want 1 and 0", sums["managed"], sums["free"])
		}
		r.set(func(v *cgrouptest.Values) { v.Mems = "7" })
		if got := r.read("proc/zoneinfo"); got != "" {
			t.Errorf("zoneinfo %q, want nothing", got)
		}
	})
}

func TestParseZoneinfoRefuses(t *testing.T) {
	refuses(t, parseZoneinfo,
		"", "x\n", "Node 0, zone DMA\n  pages free 5\n", "Node x, zone DMA\n", "Node 0, zone DMA\n        managed x\n",
		"Node 0, zone DMA\n  per-node stats\n        managed  5\n",
	)
}

func FuzzParseZoneinfo(f *testing.F) {
	text, err := os.ReadFile("testdata/hosts/x86-6.12/proc/zoneinfo")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte("Node 0, zone   DMA\n  per-node stats\n      nr_shmem 5\n  pages free 5\n        managed  7\n" +
		"        protection: (0, 4)\n  pagesets\n    cpu: 0\n              count: 0\n  start_pfn: 9\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := parseZoneinfo(b)
		if err != nil {
			return
		}
		v := &view{cpus: cpus{visible: 2}, vm: newVMClock(nil), memory: memory{total: gib, free: mib}}
		if v.nodes, err = cgroupview.ParseCPUSet([]byte("0-1")); err != nil {
			t.Fatal(err)
		}
		renderZoneinfo(nil, v, h, input{})
	})
}
