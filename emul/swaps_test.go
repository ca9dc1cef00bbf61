package emul

import (
	"os"
	"strings"
	"testing"

	"cloister/cgroupview"
	"cloister/cgroupview/cgrouptest"
)

const swapsHeader = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"

func TestSwap(t *testing.T) {
	const hostTotal, hostFree = 2097152, 1777664
	tests := []struct {
		name                  string
		memory, swap, used    uint64 // limits and usage
		v1Total, total, spare uint64 // KiB; spare: the total less what shows as used
	}{
		// On v1 all of memory and swap together can be in swap.
		{"limit", 64 * mib, 32 * mib, 8 * mib, 96 * kib, 32 * kib, 8 * kib},
		{"none allowed", 64 * mib, 0, 0, 64 * kib, 0, 0},
		{"no limit", cgroupview.NoLimit, cgroupview.NoLimit, mib, hostTotal, hostTotal, hostTotal - hostFree},
	}
	inModes(t, func(t *testing.T, r *rig) {
		for _, tt := range tests {
			r.set(func(v *cgrouptest.Values) { v.MemoryMax, v.SwapMax, v.SwapCurrent = tt.memory, tt.swap, tt.used })
			want := tt.total
			if r.fake.Mode != cgroupview.Unified {
				want = tt.v1Total
			}
			m := r.meminfo()
			if m["SwapTotal"] != want || m["SwapTotal"]-m["SwapFree"] != tt.spare {
				t.Errorf("%s: total %d, used %d, want %d, %d", tt.name, m["SwapTotal"], m["SwapTotal"]-m["SwapFree"], want, tt.spare)
			}
			checkSwaps(t, r)
		}
	})
}

// checkSwaps checks that swaps and meminfo tell the same.
func checkSwaps(t *testing.T, r *rig) {
	t.Helper()
	m := r.meminfo()
	line, ok := strings.CutPrefix(r.read("proc/swaps"), swapsHeader)
	if !ok {
		t.Fatalf("swaps begins with %q", line)
	}
	if m["SwapTotal"] == 0 {
		if line != "" {
			t.Errorf("swaps without swap: %q", line)
		}
		return
	}
	f := strings.Fields(line)
	if len(f) != 5 || number(t, f[2]) != m["SwapTotal"] || number(t, f[3]) != m["SwapTotal"]-m["SwapFree"] {
		t.Errorf("swaps %q, meminfo total %d, free %d", line, m["SwapTotal"], m["SwapFree"])
	}
}

func TestSwapLimitBelowUse(t *testing.T) {
	r := newRig(t, cgroupview.Unified, nil)
	r.set(func(v *cgrouptest.Values) { v.SwapMax, v.SwapCurrent = 4*mib, 51176*kib })
	if m := r.meminfo(); m["SwapTotal"] != 51176 || m["SwapFree"] != 0 {
		t.Errorf("total %d, free %d, want 51176, 0", m["SwapTotal"], m["SwapFree"])
	}
	want := swapsHeader + "none                                    virtual\t\t51176\t\t51176\t\t0\n"
	if got := r.read("proc/swaps"); got != want {
		t.Errorf("swaps %q, want %q", got, want)
	}
}

// The kernel sets its columns with one tab only when a number is long.
func TestSwapsColumns(t *testing.T) {
	v := &view{memory: memory{swapTotal: 16 * gib, swapFree: 16*gib - mib}}
	want := swapsHeader + "none                                    virtual\t\t16777216\t1024\t\t0\n"
	if got := string(renderSwaps(nil, v, input{})); got != want {
		t.Errorf("swaps %q, want %q", got, want)
	}
}

func TestSwapOfV1WithoutSwappiness(t *testing.T) {
	r := newRig(t, cgroupview.Hybrid, nil)
	r.cgroup.Update(func(v *cgrouptest.Values) { v.MemoryMax, v.SwapMax, v.SwapCurrent = 64*mib, 64*mib, 2*mib })
	r.fake.Write(r.cgroup.File("memory", "memory.swappiness"), "0\n")
	r.step(testPeriod)
	if m := r.meminfo(); m["SwapTotal"] != 2*kib || m["SwapFree"] != 0 {
		t.Errorf("total %d, free %d, want what is in use", m["SwapTotal"], m["SwapFree"])
	}
}

// Accounting can be missing when the daemon starts, and appear later.
func TestSwapAppears(t *testing.T) {
	r := newRig(t, cgroupview.Unified, func(r *rig) {
		for _, c := range []*cgrouptest.Cgroup{r.cgroup, r.fake.Cgroup("/ct")} {
			for _, name := range []string{"memory.swap.max", "memory.swap.current"} {
				if err := os.Remove(r.fake.Root.Path(c.File("memory", name))); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
	if got := r.meminfo()["SwapTotal"]; got != 0 {
		t.Errorf("SwapTotal %d without accounting, want 0", got)
	}
	r.set(func(v *cgrouptest.Values) { v.SwapMax = mib })
	if got := r.meminfo()["SwapTotal"]; got != kib {
		t.Errorf("SwapTotal %d, want 1024", got)
	}
}
