package emul

import (
	"strings"
	"testing"

	"cloister/cgroupview"
	"cloister/cgroupview/cgrouptest"
)

// The fake host has 8 GiB, of which 5777216 kB are free and 6777216 kB
// available, and 2 GiB of swap, of which 1777664 kB are free.
func TestMeminfoTotals(t *testing.T) {
	const (
		noLimit       = cgroupview.NoLimit
		hostTotal     = 8388608
		hostFree      = 5777216
		hostAvailable = 6777216
	)
	tests := []struct {
		name                   string
		limit, usage, file     uint64
		total, free, available uint64
	}{
		{"limit", 256 * mib, 56 * mib, 0, 262144, 204800, 204800},
		{"page cache is available", 256 * mib, 56 * mib, 16 * mib, 262144, 204800, 221184},
		{"available within the limit", 256 * mib, 56 * mib, gib, 262144, 204800, 262144},
		{"usage above the limit", 64 * mib, 65 * mib, 0, 65536, 0, 0},
		{"no limit, cache of others", noLimit, mib, 0, hostTotal, hostFree, hostAvailable},
		{"limit above the host's free", 6 * gib, mib, 0, 6291456, hostFree, 6290432},
		{"no limit, host's available", noLimit, mib, 4 * gib, hostTotal, hostFree, hostAvailable},
		{"limit above the host", 64 * gib, mib, 0, hostTotal, hostFree, hostAvailable},
		{"limit 0", 0, mib, 0, pageSize / kib, 0, 0},
	}
	inModes(t, func(t *testing.T, r *rig) {
		for _, tt := range tests {
			r.set(func(v *cgrouptest.Values) {
				v.MemoryMax, v.MemoryCurrent, v.Stat.ActiveFile = tt.limit, tt.usage, tt.file
			})
			m := r.meminfo()
			if m["MemTotal"] != tt.total || m["MemFree"] != tt.free || m["MemAvailable"] != tt.available {
				t.Errorf("%s: total, free, available %d %d %d, want %d %d %d", tt.name,
					m["MemTotal"], m["MemFree"], m["MemAvailable"], tt.total, tt.free, tt.available)
			}
		}
	})
}

// A limit of 0 takes no other's place, least of all with the host's memory.
func TestMeminfoLimit0OfAncestor(t *testing.T) {
	inModes(t, func(t *testing.T, r *rig) {
		r.fake.Cgroup("/ct").Update(func(v *cgrouptest.Values) { v.MemoryMax = 0 })
		r.set(func(v *cgrouptest.Values) { v.MemoryMax = 256 * mib })
		if m := r.meminfo(); m["MemTotal"]*kib != pageSize || m["MemAvailable"] != 0 {
			t.Errorf("total %d, available %d, want a page, and none of it", m["MemTotal"], m["MemAvailable"])
		}
	})
}

func TestMeminfoLimitOfAncestor(t *testing.T) {
	inModes(t, func(t *testing.T, r *rig) {
		r.fake.Cgroup("/ct").Update(func(v *cgrouptest.Values) { v.MemoryMax, v.MemoryCurrent = 100*mib, 90*mib })
		r.set(func(v *cgrouptest.Values) { v.MemoryMax, v.MemoryCurrent = 200*mib, 10*mib })
		if m := r.meminfo(); m["MemTotal"] != 100*kib || m["MemFree"] != 10*kib {
			t.Errorf("total %d, free %d, want 102400 kB, and the 10240 kB that the siblings leave", m["MemTotal"], m["MemFree"])
		}
	})
}

// Where the host has less available than free, as just after its boot, free
// gives way.
func TestMeminfoFreeWithinAvailable(t *testing.T) {
	r := newRig(t, cgroupview.Unified, func(r *rig) {
		r.fake.Write("proc/meminfo", "MemTotal: 1000 kB\nMemFree: 900 kB\nMemAvailable: 800 kB\n")
	})
	if m := r.meminfo(); m["MemFree"] != 800 || m["MemAvailable"] != 800 {
		t.Errorf("free %d, available %d, want 800 for both", m["MemFree"], m["MemAvailable"])
	}
}

func TestMeminfoLines(t *testing.T) {
	inModes(t, func(t *testing.T, r *rig) {
		r.set(func(v *cgrouptest.Values) {
			v.MemoryMax = gib
			v.Stat = cgroupview.MemoryStat{
				Anon: 1 * mib, File: 2 * mib, Shmem: 3 * mib, FileMapped: 4 * mib, FileDirty: 5 * mib, FileWriteback: 6 * mib,
				AnonThp: 8 * mib, InactiveAnon: 9 * mib, ActiveAnon: 10 * mib, InactiveFile: 11 * mib, ActiveFile: 12 * mib,
				Unevictable: 13 * mib, Swapcached: 14 * mib, SlabReclaimable: 15 * mib, SlabUnreclaimable: 16 * mib, Slab: 31 * mib,
				KernelStack: 17 * mib, Pagetables: 18 * mib, SecPagetables: 19 * mib, Percpu: 20 * mib, Vmalloc: 21 * mib,
				Zswap: 22 * mib, Zswapped: 23 * mib, FileThp: 24 * mib, ShmemThp: 25 * mib,
			}
		})
		want := map[string]uint64{
			"AnonPages": 1, "Cached": 2, "Shmem": 3, "Mapped": 4, "Dirty": 5, "Writeback": 6, "AnonHugePages": 8,
			"Inactive(anon)": 9, "Active(anon)": 10, "Inactive(file)": 11, "Active(file)": 12, "Inactive": 20, "Active": 22,
			"Unevictable": 13, "SwapCached": 14, "Buffers": 0, "Mlocked": 0, "HugePages_Total": 0, "Committed_AS": 4,
		}
		if r.fake.Mode == cgroupview.Unified {
			for name, v := range map[string]uint64{
				"SReclaimable": 15, "KReclaimable": 15, "SUnreclaim": 16, "Slab": 31, "KernelStack": 17, "PageTables": 18,
				"SecPageTables": 19, "Percpu": 20, "VmallocUsed": 21, "Zswap": 22, "Zswapped": 23,
				"FileHugePages": 24, "ShmemHugePages": 25,
			} {
				want[name] = v
			}
		}
		m := r.meminfo()
		for name, v := range want {
			if got, ok := m[name]; !ok || got != v*kib {
				t.Errorf("%s: %d kB, want %d MiB", name, got, v)
			}
		}
		if m["VmallocTotal"] != 34359738367 || m["DirectMap2M"] != 6160384 || m["Hugepagesize"] != 2048 {
			t.Error("the machine's constants differ from the host's")
		}
		if _, ok := m["FutureUsage"]; ok {
			t.Error("a line that nobody knows shows the host's value")
		}
		// The host's CommitLimit stands for vm.overcommit_ratio = 50 and 2 GiB of swap.
		if want := m["MemTotal"]/2 + m["SwapTotal"]; m["CommitLimit"] != want {
			t.Errorf("CommitLimit %d, want %d", m["CommitLimit"], want)
		}
	})
}

// Limits are looked at again at each read, never once at the start.
func TestMeminfoFollowsLimits(t *testing.T) {
	inModes(t, func(t *testing.T, r *rig) {
		for _, limit := range []uint64{64 * mib, cgroupview.NoLimit, 0, 128 * mib} {
			r.set(func(v *cgrouptest.Values) { v.MemoryMax = limit })
			want := min(max(limit, pageSize), 8*gib)
			if got := r.meminfo()["MemTotal"] * kib; got != want {
				t.Errorf("limit %d: MemTotal %d, want %d", limit, got, want)
			}
		}
	})
}

func TestMeminfoWithoutController(t *testing.T) {
	r := newRig(t, cgroupview.Legacy, func(r *rig) {
		r.fake.Write("proc/self/mountinfo", "30 22 0:30 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n")
	})
	m := r.meminfo()
	if m["MemTotal"] != 8388608 || m["MemFree"] != 5777216 || m["SwapTotal"] != 0 || m["Cached"] != 0 {
		t.Errorf("meminfo %v, want the host's total and free, no swap and no usage", m)
	}
}

func TestParseMeminfoRefuses(t *testing.T) {
	refuses(t, parseMeminfo, "", "MemTotal: x kB\n", "MemTotal 5 kB\n", "MemFree: 5 kB\n")
}

func FuzzParseMeminfo(f *testing.F) {
	f.Add([]byte("MemTotal:        8388608 kB\nHugePages_Total:     777\nNew(line): 3 kB\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := parseMeminfo(b)
		if err != nil {
			return
		}
		v := &view{host: &hostSample{meminfo: h}}
		v.memory = newMemory(h, &cgroupview.Usage{})
		text := renderMeminfo(nil, v, input{})
		if got := strings.Count(string(text), "\n"); got != len(h.lines) {
			t.Fatalf("%d lines rendered of %d", got, len(h.lines))
		}
	})
}
