package emul

import (
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cloister/cgroupview"
	"cloister/cgroupview/cgrouptest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestGolden renders every file of one container on different hosts.
func TestGolden(t *testing.T) {
	for _, tt := range []struct {
		host   string
		mode   cgroupview.Mode
		online string
		mems   string
	}{
		{"x86-6.18", cgroupview.Hybrid, "0-1", "0"},
		{"x86-6.1", cgroupview.Unified, "0-3", "0-1"},
		{"x86-6.12", cgroupview.Unified, "0-1", "0"},
		{"arm64", cgroupview.Unified, "0-3", "0-1"},
	} {
		t.Run(tt.host, func(t *testing.T) {
			r := newRig(t, tt.mode, func(r *rig) {
				if err := copyHost(r.fake, tt.host); err != nil {
					t.Fatal(err)
				}
				r.fake.Write("sys/devices/system/cpu/online", tt.online+"\n")
				r.cgroup.AddTask(cgrouptest.Task{
					TID: 510, Comm: "worker", State: 'R', NSpid: []int{12}, VoluntarySwitches: 4000, NonvoluntarySwitches: 150,
				})
				r.cgroup.Update(goldenValues)
				r.cgroup.Update(func(v *cgrouptest.Values) { v.Mems = tt.mems })
			})
			r.tickLoads(6)
			var got strings.Builder
			for _, path := range paths(t, r.c) {
				got.WriteString("== " + path + "\n" + r.read(path))
			}
			compareGolden(t, filepath.Join("testdata/golden", tt.host+"-"+tt.mode.String()), got.String())
		})
	}
}

// goldenValues are those of a container of 512 MiB and 1.5 CPUs that is busy.
func goldenValues(v *cgrouptest.Values) {
	v.MemoryMax, v.MemoryCurrent = 512*mib, 300*mib
	v.SwapMax, v.SwapCurrent = 256*mib, 10*mib
	v.Bandwidth = cgroupview.Bandwidth{Quota: 150000, Period: 100000}
	v.CPUs = "0-1"
	v.Pressure = map[string]string{
		"cpu": cgrouptest.Pressure(1000), "io": cgrouptest.Pressure(2000), "memory": cgrouptest.Pressure(3000),
	}
	v.CPUTime[1] = cgroupview.CPUTime{User: uint64(12 * time.Second), System: uint64(3 * time.Second)}
	v.IO = []cgroupview.DeviceIO{
		{Major: 254, RBytes: 20 * mib, RIOs: 160, WBytes: 4 * mib, WIOs: 33},
		{Major: 259, RBytes: 20 * mib, RIOs: 160, WBytes: 4 * mib, WIOs: 33},
	}
	v.Stat = cgroupview.MemoryStat{
		Anon: 180 * mib, File: 100 * mib, Shmem: 4 * mib, FileMapped: 30 * mib, FileDirty: 256 * kib, AnonThp: 64 * mib,
		InactiveAnon: 100 * mib, ActiveAnon: 84 * mib, InactiveFile: 60 * mib, ActiveFile: 36 * mib,
		KernelStack: 512 * kib, Pagetables: 900 * kib, Percpu: 100 * kib,
		Slab: 10 * mib, SlabReclaimable: 6 * mib, SlabUnreclaimable: 4 * mib, Swapcached: 128 * kib,
	}
	v.Events = cgroupview.MemoryEvents{
		Pgfault: 91000, Pgmajfault: 120, Pgscan: 5100, PgscanDirect: 5100, Pgsteal: 4900, PgstealDirect: 4900,
		Pgactivate: 800, Pswpin: 40, Pswpout: 2600, WorkingsetRefaultFile: 310, WorkingsetActivateFile: 90,
	}
	v.NUMA = []cgroupview.NodeMemory{
		{
			Node: 0, Anon: 150 * mib, File: 40 * mib, Shmem: 4 * mib, FileMapped: 30 * mib, FileDirty: 256 * kib,
			AnonThp: 64 * mib, InactiveAnon: 80 * mib, ActiveAnon: 74 * mib, InactiveFile: 20 * mib, ActiveFile: 16 * mib,
			KernelStack: 384 * kib, Pagetables: 800 * kib, SlabReclaimable: 4 * mib, SlabUnreclaimable: 3 * mib,
		},
		{
			Node: 1, Anon: 30 * mib, File: 60 * mib, InactiveAnon: 20 * mib, ActiveAnon: 10 * mib,
			InactiveFile: 40 * mib, ActiveFile: 20 * mib,
			KernelStack: 128 * kib, Pagetables: 100 * kib, SlabReclaimable: 2 * mib, SlabUnreclaimable: mib,
		},
	}
}

// copyHost replaces files of the fake host by those that testdata has of it. The
// fake host's own CPUs and nodes go if testdata has any.
func copyHost(h *cgrouptest.Host, name string) error {
	host := os.DirFS("testdata/hosts/" + name)
	for _, dir := range []string{"sys/devices/system/cpu", "sys/devices/system/node"} {
		if _, err := fs.Stat(host, dir); err != nil {
			continue
		}
		if err := os.RemoveAll(h.Root.Path(dir)); err != nil {
			return err
		}
	}
	return fs.WalkDir(host, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(host, path)
		h.Write(path, string(text))
		return err
	})
}

func compareGolden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}
