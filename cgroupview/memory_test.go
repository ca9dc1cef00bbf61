package cgroupview_test

import (
	"os"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cloister/cgroupview"
	"cloister/cgroupview/cgrouptest"
)

func TestReadLimits(t *testing.T) {
	type level struct{ limit, usage uint64 }
	tests := []struct {
		name                   string
		parent, own            level
		limit, headroom, usage uint64
	}{
		{"none", level{noLimit, 90 * mib}, level{noLimit, 10 * mib}, noLimit, noLimit, 10 * mib},
		{"own", level{noLimit, 90 * mib}, level{64 * mib, 10 * mib}, 64 * mib, 54 * mib, 10 * mib},
		{"ancestor only", level{100 * mib, 30 * mib}, level{noLimit, 10 * mib}, 100 * mib, 70 * mib, 10 * mib},
		{"lower on ancestor", level{50 * mib, 30 * mib}, level{64 * mib, 10 * mib}, 50 * mib, 20 * mib, 10 * mib},
		{"siblings use up the ancestor", level{100 * mib, 95 * mib}, level{64 * mib, 10 * mib}, 64 * mib, 5 * mib, 10 * mib},
		{"usage above the limit", level{noLimit, 0}, level{8 * mib, 10 * mib}, 8 * mib, 0, 10 * mib},
		{"zero", level{noLimit, 0}, level{0, 10 * mib}, 0, 0, 10 * mib},
	}
	inModes(t, func(t *testing.T, h *cgrouptest.Host) {
		parent, own := h.Cgroup("/p"), h.Cgroup("/p/own")
		g := open(t, own)
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				set := func(l level) func(*cgrouptest.Values) {
					return func(v *cgrouptest.Values) { v.MemoryMax, v.MemoryCurrent = l.limit, l.usage }
				}
				parent.Update(set(tt.parent))
				own.Update(set(tt.own))
				want := cgroupview.Account{Present: true, Own: true, Limit: tt.limit, Headroom: tt.headroom, Usage: tt.usage}
				if diff := cmp.Diff(want, read(t, g).Memory.Account); diff != "" {
					t.Errorf("memory (-want +got):\n%s", diff)
				}
			})
		}
	})
}

func TestReadSwap(t *testing.T) {
	inModes(t, func(t *testing.T, h *cgrouptest.Host) {
		c := h.Cgroup("/c")
		c.Update(func(v *cgrouptest.Values) {
			v.MemoryMax, v.MemoryCurrent = 64*mib, 10*mib
			v.SwapMax, v.SwapCurrent = 32*mib, 5*mib
		})
		want := cgroupview.Swap{
			Account:    cgroupview.Account{Present: true, Own: true, Limit: 32 * mib, Headroom: 27 * mib, Usage: 5 * mib},
			Swappiness: -1,
		}
		if h.Mode != cgroupview.Unified {
			// RAM+SWAP: all 96 MiB may be swap.
			want.Limit, want.Headroom, want.Swappiness = 96*mib, 91*mib, 60
		}
		if diff := cmp.Diff(want, read(t, open(t, c)).Swap); diff != "" {
			t.Errorf("swap (-want +got):\n%s", diff)
		}
	})
}

// On v1 memory is charged between the readings of two usages, one of which includes the
// other. What of it is in swap is written elsewhere, but for old kernels.
func TestReadSwapWhileCharged(t *testing.T) {
	h := cgrouptest.New(t, cgroupview.Hybrid)
	c := h.Cgroup("/c")
	c.Update(func(v *cgrouptest.Values) { v.MemoryCurrent, v.SwapCurrent = mib, 0 })
	h.Write(c.File("memory", "memory.memsw.usage_in_bytes"), "1310720\n")
	g := open(t, c)
	if got := read(t, g).Swap.Usage; got != 0 {
		t.Errorf("%d bytes of swap, want 0", got)
	}
	h.Write(c.File("memory", "memory.stat"), "total_cache 0\n")
	if got := read(t, g).Swap.Usage; got != 256*1024 {
		t.Errorf("%d bytes of swap, want the difference", got)
	}
}

// Swap accounting can be off, and come with a module or a later boot.
func TestReadSwapAppears(t *testing.T) {
	inModes(t, func(t *testing.T, h *cgrouptest.Host) {
		c := h.Cgroup("/c")
		files := []string{c.File("memory", "memory.swap.max"), c.File("memory", "memory.swap.current")}
		if h.Mode != cgroupview.Unified {
			files = []string{c.File("memory", "memory.memsw.limit_in_bytes"), c.File("memory", "memory.memsw.usage_in_bytes")}
		}
		for _, f := range files {
			if err := os.Remove(h.Root.Path(f)); err != nil {
				t.Fatal(err)
			}
		}
		g := open(t, c)
		if got := read(t, g).Swap; got.Present || got.Limit != noLimit || got.Usage != 0 {
			t.Errorf("swap %+v, want it absent", got)
		}
		c.Update(func(v *cgrouptest.Values) { v.SwapCurrent = mib })
		if got := read(t, g).Swap; !got.Present || got.Usage != mib {
			t.Errorf("swap %+v, want usage 1 MiB", got)
		}
	})
}

func TestReadMemoryStat(t *testing.T) {
	inModes(t, func(t *testing.T, h *cgrouptest.Host) {
		want := cgroupview.MemoryStat{
			Anon: 1, File: 2, Shmem: 3, FileMapped: 4, FileDirty: 5, FileWriteback: 6, Swapcached: 7,
			AnonThp: 8, InactiveAnon: 9, ActiveAnon: 10, InactiveFile: 11, ActiveFile: 12, Unevictable: 13,
		}
		if h.Mode == cgroupview.Unified {
			want.Slab, want.SlabReclaimable, want.SlabUnreclaimable = 14, 15, 16
			want.KernelStack, want.Pagetables, want.SecPagetables, want.Percpu, want.Vmalloc = 17, 18, 19, 20, 21
			want.Zswap, want.Zswapped, want.FileThp, want.ShmemThp = 22, 23, 24, 25
		}
		c := h.Cgroup("/c")
		c.Update(func(v *cgrouptest.Values) { v.Stat = want })
		if diff := cmp.Diff(want, read(t, open(t, c)).Memory.Stat); diff != "" {
			t.Errorf("memory.stat (-want +got):\n%s", diff)
		}
	})
}

// Every counter gets a value of its own, so that no two can be mixed up.
func TestReadMemoryEvents(t *testing.T) {
	inModes(t, func(t *testing.T, h *cgrouptest.Host) {
		want := cgroupview.MemoryEvents{Pgfault: 1, Pgmajfault: 2, OOMKill: 3}
		if h.Mode == cgroupview.Unified {
			for i, v := 0, reflect.ValueOf(&want).Elem(); i < v.NumField(); i++ {
				v.Field(i).SetUint(uint64(100 + i))
			}
		}
		c := h.Cgroup("/c")
		c.Update(func(v *cgrouptest.Values) { v.Events = want })
		if diff := cmp.Diff(want, read(t, open(t, c)).Memory.Events); diff != "" {
			t.Errorf("memory.stat (-want +got):\n%s", diff)
		}
	})
}
