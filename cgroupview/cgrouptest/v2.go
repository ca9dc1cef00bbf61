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
	write("memory.stat", "%s", memoryStatV2(&v.Stat)+memoryEventsV2(&v.Events))
	write("memory.events", "low 0\nhigh 777\nmax 777\noom 777\noom_kill %d\noom_group_kill 777\n", v.Events.OOMKill)
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
	return flatKeyed([]keyValue{
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
	})
}

func memoryEventsV2(e *cgroupview.MemoryEvents) string {
	return flatKeyed([]keyValue{
		{"pgfault", e.Pgfault},
		{"pgmajfault", e.Pgmajfault},
		{"pgscan", e.Pgscan},
		{"pgscan_kswapd", e.PgscanKswapd},
		{"pgscan_direct", e.PgscanDirect},
		{"pgscan_khugepaged", e.PgscanKhugepaged},
		{"pgscan_proactive", e.PgscanProactive},
		{"pgsteal", e.Pgsteal},
		{"pgsteal_kswapd", e.PgstealKswapd},
		{"pgsteal_direct", e.PgstealDirect},
		{"pgsteal_khugepaged", e.PgstealKhugepaged},
		{"pgsteal_proactive", e.PgstealProactive},
		{"pgrefill", e.Pgrefill},
		{"pgactivate", e.Pgactivate},
		{"pgdeactivate", e.Pgdeactivate},
		{"pglazyfree", e.Pglazyfree},
		{"pglazyfreed", e.Pglazyfreed},
		{"pswpin", e.Pswpin},
		{"pswpout", e.Pswpout},
		{"swpin_zero", e.SwpinZero},
		{"swpout_zero", e.SwpoutZero},
		{"zswpin", e.Zswpin},
		{"zswpout", e.Zswpout},
		{"zswpwb", e.Zswpwb},
		{"thp_fault_alloc", e.ThpFaultAlloc},
		{"thp_collapse_alloc", e.ThpCollapseAlloc},
		{"thp_swpout", e.ThpSwpout},
		{"thp_swpout_fallback", e.ThpSwpoutFallback},
		{"numa_pages_migrated", e.NumaPagesMigrated},
		{"numa_pte_updates", e.NumaPteUpdates},
		{"numa_hint_faults", e.NumaHintFaults},
		{"workingset_refault_anon", e.WorkingsetRefaultAnon},
		{"workingset_refault_file", e.WorkingsetRefaultFile},
		{"workingset_activate_anon", e.WorkingsetActivateAnon},
		{"workingset_activate_file", e.WorkingsetActivateFile},
		{"workingset_restore_anon", e.WorkingsetRestoreAnon},
		{"workingset_restore_file", e.WorkingsetRestoreFile},
		{"workingset_nodereclaim", e.WorkingsetNodereclaim},
	})
}

type keyValue struct {
	key   string
	value uint64
}

func flatKeyed(pairs []keyValue) string {
	var b strings.Builder
	for _, p := range pairs {
		fmt.Fprintf(&b, "%s %d\n", p.key, p.value)
	}
	return b.String()
}
