package emul

import "cloister/cgroupview"

// vmCounter is a counter of /proc/vmstat that the kernel keeps for a cgroup.
type vmCounter struct {
	name  string
	index int // in vmCounters
	value func(*cgroupview.Usage) uint64
}

// vmCounters are all of them, under their names in /proc/vmstat.
var vmCounters = indexed([]vmCounter{
	{name: "pgpgin", value: func(u *cgroupview.Usage) uint64 {
		return kibibytes(u, func(d *cgroupview.DeviceIO) uint64 { return d.RBytes })
	}},
	{name: "pgpgout", value: func(u *cgroupview.Usage) uint64 {
		return kibibytes(u, func(d *cgroupview.DeviceIO) uint64 { return d.WBytes })
	}},
	event("pswpin", func(e *cgroupview.MemoryEvents) uint64 { return e.Pswpin }),
	event("pswpout", func(e *cgroupview.MemoryEvents) uint64 { return e.Pswpout }),
	event("pgfault", func(e *cgroupview.MemoryEvents) uint64 { return e.Pgfault }),
	event("pgmajfault", func(e *cgroupview.MemoryEvents) uint64 { return e.Pgmajfault }),
	event("pgrefill", func(e *cgroupview.MemoryEvents) uint64 { return e.Pgrefill }),
	event("pgactivate", func(e *cgroupview.MemoryEvents) uint64 { return e.Pgactivate }),
	event("pgdeactivate", func(e *cgroupview.MemoryEvents) uint64 { return e.Pgdeactivate }),
	event("pglazyfree", func(e *cgroupview.MemoryEvents) uint64 { return e.Pglazyfree }),
	event("pglazyfreed", func(e *cgroupview.MemoryEvents) uint64 { return e.Pglazyfreed }),
	event("pgscan_kswapd", func(e *cgroupview.MemoryEvents) uint64 { return e.PgscanKswapd }),
	event("pgscan_direct", func(e *cgroupview.MemoryEvents) uint64 { return e.PgscanDirect }),
	event("pgscan_khugepaged", func(e *cgroupview.MemoryEvents) uint64 { return e.PgscanKhugepaged }),
	event("pgscan_proactive", func(e *cgroupview.MemoryEvents) uint64 { return e.PgscanProactive }),
	event("pgsteal_kswapd", func(e *cgroupview.MemoryEvents) uint64 { return e.PgstealKswapd }),
	event("pgsteal_direct", func(e *cgroupview.MemoryEvents) uint64 { return e.PgstealDirect }),
	event("pgsteal_khugepaged", func(e *cgroupview.MemoryEvents) uint64 { return e.PgstealKhugepaged }),
	event("pgsteal_proactive", func(e *cgroupview.MemoryEvents) uint64 { return e.PgstealProactive }),
	event("oom_kill", func(e *cgroupview.MemoryEvents) uint64 { return e.OOMKill }),
	event("swpin_zero", func(e *cgroupview.MemoryEvents) uint64 { return e.SwpinZero }),
	event("swpout_zero", func(e *cgroupview.MemoryEvents) uint64 { return e.SwpoutZero }),
	event("zswpin", func(e *cgroupview.MemoryEvents) uint64 { return e.Zswpin }),
	event("zswpout", func(e *cgroupview.MemoryEvents) uint64 { return e.Zswpout }),
	event("zswpwb", func(e *cgroupview.MemoryEvents) uint64 { return e.Zswpwb }),
	event("thp_fault_alloc", func(e *cgroupview.MemoryEvents) uint64 { return e.ThpFaultAlloc }),
	event("thp_collapse_alloc", func(e *cgroupview.MemoryEvents) uint64 { return e.ThpCollapseAlloc }),
	event("thp_swpout", func(e *cgroupview.MemoryEvents) uint64 { return e.ThpSwpout }),
	event("thp_swpout_fallback", func(e *cgroupview.MemoryEvents) uint64 { return e.ThpSwpoutFallback }),
	event("numa_pages_migrated", func(e *cgroupview.MemoryEvents) uint64 { return e.NumaPagesMigrated }),
	event("numa_pte_updates", func(e *cgroupview.MemoryEvents) uint64 { return e.NumaPteUpdates }),
	event("numa_hint_faults", func(e *cgroupview.MemoryEvents) uint64 { return e.NumaHintFaults }),
	event("workingset_refault_anon", func(e *cgroupview.MemoryEvents) uint64 { return e.WorkingsetRefaultAnon }),
	event("workingset_refault_file", func(e *cgroupview.MemoryEvents) uint64 { return e.WorkingsetRefaultFile }),
	event("workingset_activate_anon", func(e *cgroupview.MemoryEvents) uint64 { return e.WorkingsetActivateAnon }),
	event("workingset_activate_file", func(e *cgroupview.MemoryEvents) uint64 { return e.WorkingsetActivateFile }),
	event("workingset_restore_anon", func(e *cgroupview.MemoryEvents) uint64 { return e.WorkingsetRestoreAnon }),
	event("workingset_restore_file", func(e *cgroupview.MemoryEvents) uint64 { return e.WorkingsetRestoreFile }),
	event("workingset_nodereclaim", func(e *cgroupview.MemoryEvents) uint64 { return e.WorkingsetNodereclaim }),
})

func event(name string, value func(*cgroupview.MemoryEvents) uint64) vmCounter {
	return vmCounter{name: name, value: func(u *cgroupview.Usage) uint64 { return value(&u.Memory.Events) }}
}

func indexed(counters []vmCounter) []vmCounter {
	for i := range counters {
		counters[i].index = i
	}
	return counters
}

// kibibytes adds up what was transferred from or to all devices. The kernel counts in
// sectors and shows half of that.
func kibibytes(u *cgroupview.Usage, bytes func(*cgroupview.DeviceIO) uint64) (sum uint64) {
	for i := range u.IO {
		sum += bytes(&u.IO[i])
	}
	return sum >> 10
}

// vmClock holds the counters of a container, by index. A cgroup's own go back: with a
// device its I/O is forgotten, kernels before 5.2 forget what a removed child counted,
// and a controller that is switched off and on begins anew. These don't.
type vmClock []risingCounter

// risingCounter is a counter that goes on from where it was when the one that it
// follows goes back.
type risingCounter struct{ Last, Total uint64 }

func (c *risingCounter) follow(now uint64) {
	c.Total += sub(now, c.Last)
	c.Last = now
}

func (c vmClock) total(of *vmCounter) uint64 { return c[of.index].Total }

// advance takes the counters of a sample. The slice is made by newVMClock.
func (c vmClock) advance(u *cgroupview.Usage) {
	for i := range c {
		c[i].follow(vmCounters[i].value(u))
	}
}

// vmState is a vmClock that outlives the daemon: by name, without those that have
// always been 0.
type vmState map[string]risingCounter

func newVMClock(s vmState) vmClock {
	c := make(vmClock, len(vmCounters))
	for i := range c {
		c[i] = s[vmCounters[i].name]
	}
	return c
}

func (c vmClock) state() vmState {
	s := vmState{}
	for i, counter := range c {
		if counter.Total > 0 {
			s[vmCounters[i].name] = counter
		}
	}
	return s
}
