package cgrouptest

import (
	"fmt"
	"strconv"
	"strings"

	"cloister/cgroupview"
)

func (c *Cgroup) writeV2(v *Values) {
	c.host.tb.Helper()
	write := func(name, format string, args ...any) { c.write("", name, format, args...) }
	write("cgroup.type", "domain\n")
	write("cgroup.procs", "%s", taskList(v.Tasks))
	write("cgroup.threads", "%s", taskList(v.Tasks))
	write("memory.max", "%s\n", limitV2(v.MemoryMax))
	write("memory.current", "%d\n", v.MemoryCurrent)
	write("memory.swap.max", "%s\n", limitV2(v.SwapMax))
	write("memory.swap.current", "%d\n", v.SwapCurrent)
	write("memory.stat", "%s", memoryStatV2(&v.Stat))
	if v.Bandwidth.Limited() {
		write("cpu.max", "%d %d\n", v.Bandwidth.Quota, v.Bandwidth.Period)
	} else {
		write("cpu.max", "max 100000\n")
	}
	var sum cgroupview.CPUTime
	for _, t := range v.CPUTime {
		sum.User += t.User
		sum.System += t.System
	}
	write("cpu.stat", "usage_usec %d\nuser_usec %d\nsystem_usec %d\nnice_usec 0\nnr_periods 0\nnr_throttled 0\nthrottled_usec 0\n",
		(sum.User+sum.System)/1000, sum.User/1000, sum.System/1000)
	write("cpuset.cpus.effective", "%s\n", v.CPUs)
	write("cpuset.mems.effective", "%s\n", v.Mems)
	write("pids.current", "%d\n", len(v.Tasks))
	var io strings.Builder
	for _, d := range v.IO {
		fmt.Fprintf(&io, "%d:%d rbytes=%d wbytes=%d rios=%d wios=%d dbytes=%d dios=%d\n",
			d.Major, d.Minor, d.RBytes, d.WBytes, d.RIOs, d.WIOs, d.DBytes, d.DIOs)
	}
	write("io.stat", "%s", io.String())
}

func limitV2(v uint64) string {
	if v == cgroupview.NoLimit {
		return "max"
	}
	return strconv.FormatUint(v, 10)
}

// memoryStatV2 has the order of Linux 6.18, and some keys that nobody asks for.
func memoryStatV2(s *cgroupview.MemoryStat) string {
	var b strings.Builder
	for _, f := range []struct {
		key   string
		value uint64
	}{
		{"anon", s.Anon},
		{"file", s.File},
		{"kernel", s.Slab + s.KernelStack + s.Pagetables},
		{"kernel_stack", s.KernelStack},
		{"pagetables", s.Pagetables},
		{"sec_pagetables", s.SecPagetables},
		{"percpu", s.Percpu},
		{"sock", 0},
		{"vmalloc", s.Vmalloc},
		{"shmem", s.Shmem},
		{"zswap", s.Zswap},
		{"zswapped", s.Zswapped},
		{"file_mapped", s.FileMapped},
		{"file_dirty", s.FileDirty},
		{"file_writeback", s.FileWriteback},
		{"swapcached", s.Swapcached},
		{"anon_thp", s.AnonThp},
		{"file_thp", s.FileThp},
		{"shmem_thp", s.ShmemThp},
		{"inactive_anon", s.InactiveAnon},
		{"active_anon", s.ActiveAnon},
		{"inactive_file", s.InactiveFile},
		{"active_file", s.ActiveFile},
		{"unevictable", s.Unevictable},
		{"slab_reclaimable", s.SlabReclaimable},
		{"slab_unreclaimable", s.SlabUnreclaimable},
		{"slab", s.Slab},
		{"workingset_refault_anon", 0},
		{"pgfault", 1},
		{"pgmajfault", 0},
	} {
		fmt.Fprintf(&b, "%s %d\n", f.key, f.value)
	}
	return b.String()
}
