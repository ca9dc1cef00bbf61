package cgroupview

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseLimit(t *testing.T) {
	for text, want := range map[string]uint64{
		"max\n":                  NoLimit,
		"0\n":                    0,
		"67108864\n":             64 << 20,
		"9223372036854771712\n":  NoLimit, // v1, 4 KiB pages
		"9223372036854710272\n":  NoLimit, // v1, 64 KiB pages
		"18446744073709551615\n": NoLimit,
	} {
		if got, err := parseLimit([]byte(text)); err != nil || got != want {
			t.Errorf("parseLimit(%q) = %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "\n", "-1", "maximum", "1 2", "0x10"} {
		if got, err := parseLimit([]byte(text)); !errors.Is(err, ErrFormat) {
			t.Errorf("parseLimit(%q) = %d, %v, want ErrFormat", text, got, err)
		}
	}
}

// The files below testdata are recorded from the kernel that their folder names.
func TestParseMemoryStat(t *testing.T) {
	events := map[string]MemoryEvents{
		"v2-6.1": {
			Pgscan: 97871, Pgsteal: 86165, PgscanDirect: 97871, PgstealDirect: 86165, Pgfault: 5991, Pgrefill: 133,
			Pgactivate: 12932, Pgdeactivate: 133, WorkingsetRefaultFile: 64000, ThpFaultAlloc: 19, ThpCollapseAlloc: 4,
		},
		"v2-6.12": {
			Pgscan: 76957, Pgsteal: 74908, PgscanDirect: 76957, PgstealDirect: 74908, Pgfault: 7275, Pgrefill: 20836,
			Pgactivate: 1, WorkingsetRefaultFile: 52636, WorkingsetActivateFile: 45804, ThpFaultAlloc: 17, ThpCollapseAlloc: 10,
		},
	}
	for kernel, want := range map[string]MemoryStat{
		"v2-6.1": {
			Anon: 8683520, File: 80228352, Shmem: 6320128, KernelStack: 49152, Pagetables: 212992, Swapcached: 10219520,
			AnonThp: 8388608, InactiveAnon: 25223168, InactiveFile: 21479424, ActiveFile: 52428800,
			SlabReclaimable: 385544, SlabUnreclaimable: 58688, Slab: 444232,
		},
		"v2-6.12": {
			Anon: 24260608, File: 74452992, Shmem: 8388608, KernelStack: 32768, Pagetables: 217088,
			AnonThp: 20971520, ActiveAnon: 32649216, InactiveFile: 46305280, ActiveFile: 19759104,
			SlabReclaimable: 928408, SlabUnreclaimable: 38800, Slab: 967208,
		},
	} {
		var m Memory
		if err := parseMemoryStat(testdata(t, kernel+"/memory.stat"), &m); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, m.Stat); diff != "" {
			t.Errorf("%s: memory.stat (-want +got):\n%s", kernel, diff)
		}
		if diff := cmp.Diff(events[kernel], m.Events); diff != "" {
			t.Errorf("%s: events (-want +got):\n%s", kernel, diff)
		}
	}
}

func TestParseMemoryStatV1(t *testing.T) {
	var u Usage
	if err := parseMemoryStatV1(testdata(t, "v1-6.18/memory.stat"), &u); err != nil {
		t.Fatal(err)
	}
	want := MemoryStat{
		File: 49586176, Anon: 49549312, Shmem: 6553600,
		InactiveAnon: 56033280, ActiveAnon: 69632, InactiveFile: 37519360, ActiveFile: 5496832,
	}
	if diff := cmp.Diff(want, u.Memory.Stat); diff != "" {
		t.Errorf("memory.stat (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(MemoryEvents{Pgfault: 75942, Pgmajfault: 1}, u.Memory.Events); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// The keys of memory.stat begin with one another; each value must come from
// its own line.
func TestMemoryStatKeysAreExact(t *testing.T) {
	var m Memory
	if err := parseMemoryStat([]byte("file_mapped 1\nfile 2\nfile_dirty 3\nslab_reclaimable 4\nslab 5\nanon_thp 6\nanon 7\n"), &m); err != nil {
		t.Fatal(err)
	}
	want := MemoryStat{FileMapped: 1, File: 2, FileDirty: 3, SlabReclaimable: 4, Slab: 5, AnonThp: 6, Anon: 7}
	if diff := cmp.Diff(want, m.Stat); diff != "" {
		t.Errorf("v2 (-want +got):\n%s", diff)
	}
	var u Usage
	if err := parseMemoryStatV1([]byte("rss 9\nrss_huge 9\ntotal_rss_huge 1\ntotal_rss 2\nmapped_file 9\ntotal_mapped_file 3\ndirty 9\ntotal_dirty 4\ntotal_unevictable 5\n"), &u); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(MemoryStat{AnonThp: 1, Anon: 2, FileMapped: 3, FileDirty: 4, Unevictable: 5}, u.Memory.Stat); diff != "" {
		t.Errorf("v1 (-want +got):\n%s", diff)
	}
}

func TestParseMemoryStatIgnoresWhatItDoesNotKnow(t *testing.T) {
	var m Memory
	if err := parseMemoryStat([]byte("future N0=1 N1=2\nfile 2\n"), &m); err != nil || m.Stat.File != 2 {
		t.Errorf("file %d, %v, want 2", m.Stat.File, err)
	}
	if err := parseMemoryStat([]byte("file two\n"), &m); !errors.Is(err, ErrFormat) {
		t.Errorf("error %v, want ErrFormat", err)
	}
}

func TestParseCPUTime(t *testing.T) {
	var got CPUTime
	if err := parseCPUStat(testdata(t, "v2-6.1/cpu.stat"), &got); err != nil || got != (CPUTime{User: 6150159000, System: 11937476000}) {
		t.Errorf("recorded cpu.stat = %v, %v", got, err)
	}
	err := parseCPUStat([]byte("usage_usec 30\nuser_usec 10\nsystem_usec 20\nnice_usec 5\nnr_periods 7\n"), &got)
	if want := (CPUTime{User: 10000, System: 20000}); err != nil || got != want {
		t.Errorf("cpu.stat = %v, %v, want %v", got, err, want)
	}
	err = parseCPUAcctStat([]byte("user 3\nsystem 2\n"), &got)
	if want := (CPUTime{User: 30e6, System: 20e6}); err != nil || got != want {
		t.Errorf("cpuacct.stat = %v, %v, want %v", got, err, want)
	}
	rows, err := parseUsageAll(testdata(t, "v1-6.18/cpuacct.usage_all"), nil)
	if err != nil || len(rows) != 2 || rows[1].User == 0 {
		t.Errorf("recorded cpuacct.usage_all = %v, %v", rows, err)
	}
	rows, err = parseUsageAll([]byte("cpu user system\n0 1 2\n2 5 6\n"), nil)
	if diff := cmp.Diff([]CPUTime{{1, 2}, {}, {5, 6}}, rows); err != nil || diff != "" {
		t.Errorf("cpuacct.usage_all: %v (-want +got):\n%s", err, diff)
	}
	for _, text := range []string{"cpu user system\nx 1 2\n", "h\n0 1\n", "h\n0 1 x\n", "h\n70000 1 1\n"} {
		if _, err := parseUsageAll([]byte(text), nil); !errors.Is(err, ErrFormat) {
			t.Errorf("parseUsageAll(%q): %v, want ErrFormat", text, err)
		}
	}
}

func TestParseIOStat(t *testing.T) {
	got, err := parseIOStat(testdata(t, "v2-6.1/io.stat"), nil)
	want := []DeviceIO{{Major: 254, Minor: 16, WBytes: 17625088, WIOs: 4303}, {Major: 254, RBytes: 262148096, RIOs: 2001, WBytes: 157286400, WIOs: 137}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("recorded io.stat: %v (-want +got):\n%s", err, diff)
	}
	got, err = parseIOStat([]byte("8:16 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6 cost.vrate=100.00\n8:0 \n"), nil)
	want = []DeviceIO{{Major: 8, Minor: 16, RBytes: 1, WBytes: 2, RIOs: 3, WIOs: 4, DBytes: 5, DIOs: 6}, {Major: 8}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("io.stat: %v (-want +got):\n%s", err, diff)
	}
	got, err = parseIOStat([]byte("7:7 7:6 8:0 rbytes=1 dios=6\n253:0 wbytes=2\n7:5 7:4 "), nil)
	want = []DeviceIO{{Major: 8, RBytes: 1, DIOs: 6}, {Major: 253, WBytes: 2}, {Major: 7, Minor: 4}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("io.stat with lines that are not ended: %v (-want +got):\n%s", err, diff)
	}
	for _, text := range []string{"8 rbytes=1\n", "8:0 rbytes=x\n", ":\n", "sda rbytes=1\n"} {
		if _, err := parseIOStat([]byte(text), nil); !errors.Is(err, ErrFormat) {
			t.Errorf("parseIOStat(%q): %v, want ErrFormat", text, err)
		}
	}
}

func TestParseBlkio(t *testing.T) {
	got, err := parseBlkio([]byte("8:0 Read 1\n8:0 Write 2\n8:0 Sync 3\n8:0 Async 0\n8:0 Discard 4\n8:0 Total 7\n254:0 Read 9\nTotal 16\n"), nil, (*DeviceIO).bytesV1)
	if err == nil {
		got, err = parseBlkio([]byte("254:0 Read 10\n8:0 Write 11\nTotal 21\n"), got, (*DeviceIO).iosV1)
	}
	want := []DeviceIO{{Major: 8, RBytes: 1, WBytes: 2, DBytes: 4, WIOs: 11}, {Major: 254, RBytes: 9, RIOs: 10}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("blkio: %v (-want +got):\n%s", err, diff)
	}
	if _, err := parseBlkio([]byte("8:0 Read\n"), nil, (*DeviceIO).bytesV1); !errors.Is(err, ErrFormat) {
		t.Errorf("missing value: %v, want ErrFormat", err)
	}
}

func FuzzParseKeyed(f *testing.F) {
	f.Add([]byte("anon 1\nfile 2\ntotal_rss 4\nuser_usec 7\n"))
	f.Add([]byte("cpu user system\n0 1 2\n1 3 4\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var m Memory
		_ = parseMemoryStat(b, &m)
		_ = parseMemoryStatV1(b, &Usage{Swap: Swap{Account: Account{Own: true}}})
		_ = parseCPUStat(b, &CPUTime{})
		_ = parseCPUAcctStat(b, &CPUTime{})
		if rows, err := parseUsageAll(b, nil); err == nil && len(rows) > maxCPU+1 {
			t.Fatalf("%d rows", len(rows))
		}
		_, _ = parseLimit(b)
	})
}

func FuzzParseIO(f *testing.F) {
	f.Add([]byte("8:16 rbytes=1 wbytes=2 rios=3\n8:0 \n"))
	f.Add([]byte("8:0 Read 1\n8:0 Write 2\nTotal 3\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = parseIOStat(b, nil)
		devices, _ := parseBlkio(b, nil, (*DeviceIO).bytesV1)
		seen := map[[2]uint32]bool{}
		for _, d := range devices {
			id := [2]uint32{d.Major, d.Minor}
			if seen[id] {
				t.Fatalf("device %v twice", id)
			}
			seen[id] = true
		}
	})
}

func TestScanInts(t *testing.T) {
	for text, want := range map[string][]int{"": nil, "1\n": {1}, "1\n22\n333\n": {1, 22, 333}} {
		if got, err := scanInts(strings.NewReader(text), nil, 10); err != nil || !slices.Equal(got, want) {
			t.Errorf("scanInts(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"x\n", "\n", "1 2\n", "-1\n", "99999999999\n"} {
		if got, err := scanInts(strings.NewReader(text), nil, 10); !errors.Is(err, ErrFormat) {
			t.Errorf("scanInts(%q) = %v, %v, want ErrFormat", text, got, err)
		}
	}
}

func FuzzScanInts(f *testing.F) {
	f.Add("1\n22\n", 5)
	f.Fuzz(func(t *testing.T, text string, end int) {
		got, _ := scanInts(strings.NewReader(text), nil, max(0, end))
		if len(got) > max(0, end) {
			t.Fatalf("%d numbers, want at most %d", len(got), end)
		}
	})
}

func testdata(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
