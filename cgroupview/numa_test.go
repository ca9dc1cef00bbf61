package cgroupview_test

import (
	"errors"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cloister/cgroupview"
	"cloister/cgroupview/cgrouptest"
)

func TestNUMA(t *testing.T) {
	page := uint64(os.Getpagesize())
	inModes(t, func(t *testing.T, h *cgrouptest.Host) {
		want := []cgroupview.NodeMemory{
			{Node: 0, Anon: 11 * page, File: 12 * page, Unevictable: 13 * page},
			{Node: 2, Anon: 21 * page, File: 22 * page, Unevictable: 0},
		}
		if h.Mode == cgroupview.Unified {
			want[0] = cgroupview.NodeMemory{
				Anon: 1, File: 2, Shmem: 3, KernelStack: 4, Pagetables: 5, SlabReclaimable: 6, SlabUnreclaimable: 7,
				FileMapped: 8, FileDirty: 9, FileWriteback: 10, InactiveAnon: 11, ActiveAnon: 12,
				InactiveFile: 13, ActiveFile: 14, Unevictable: 15, AnonThp: 16,
			}
		}
		c := h.Cgroup("/p/own")
		g := open(t, c)
		if got, ok, err := g.NUMA(nil); len(got) != 0 || ok || err != nil {
			t.Errorf("without CONFIG_NUMA: %v, %v, %v, want none", got, ok, err)
		}
		c.Update(func(v *cgrouptest.Values) { v.NUMA = want })
		other := cgroupview.NodeMemory{Node: 2, Anon: 777}
		for range 2 {
			got, ok, err := g.NUMA([]cgroupview.NodeMemory{other})
			if !ok || err != nil {
				t.Fatalf("%v, %v, want some", ok, err)
			}
			if diff := cmp.Diff(append([]cgroupview.NodeMemory{other}, want...), got); diff != "" {
				t.Errorf("by node (-want +got):\n%s", diff)
			}
			g.Park()
		}
		h.Write(c.File("memory", "memory.numa_stat"), "anon N0=x\nhierarchical_anon=1 N0=x\n")
		if got, ok, err := g.NUMA(nil); len(got) != 0 || ok || !errors.Is(err, cgroupview.ErrFormat) {
			t.Errorf("damaged file: %v, %v, %v, want ErrFormat", got, ok, err)
		}
		g.Park()
		c.Remove()
		if _, ok, err := g.NUMA(nil); ok || !errors.Is(err, cgroupview.ErrGone) {
			t.Errorf("removed: %v, %v, want ErrGone", ok, err)
		}
	})
}

func TestNUMAOfRoot(t *testing.T) {
	inModes(t, func(t *testing.T, h *cgrouptest.Host) {
		h.Write("sys/fs/cgroup/memory.numa_stat", "anon N0=777\n")
		h.Write("sys/fs/cgroup/memory/memory.numa_stat", "hierarchical_anon=777 N0=777\n")
		l := h.Layout()
		g, err := l.Open(cgroupview.Paths{Unified: "/", V1: map[string]string{
			"memory": "/", "cpu": "/", "cpuacct": "/", "cpuset": "/", "blkio": "/", "pids": "/",
		}})
		if err != nil {
			t.Fatal(err)
		}
		defer g.Close()
		if got, ok, err := g.NUMA(nil); len(got) != 0 || ok || err != nil {
			t.Errorf("%v, %v, %v, want none", got, ok, err)
		}
	})
}

func TestNUMADoesNotAllocate(t *testing.T) {
	inModes(t, func(t *testing.T, h *cgrouptest.Host) {
		c := h.Cgroup("/c")
		c.Update(func(v *cgrouptest.Values) { v.NUMA = []cgroupview.NodeMemory{{Node: 0, Anon: 1 << 20}, {Node: 1}} })
		g := open(t, c)
		var dst []cgroupview.NodeMemory
		if n := testing.AllocsPerRun(100, func() {
			var err error
			if dst, _, err = g.NUMA(dst[:0]); err != nil || len(dst) != 2 {
				t.Fatal(dst, err)
			}
		}); n != 0 {
			t.Errorf("%v allocations per NUMA, want 0", n)
		}
	})
}
