package cgroupview

// MemoryEvents are counters of what has happened to the memory of a cgroup: the fields
// carry the names of the keys in v2's memory.stat. They count pages, or events, since the
// cgroup was made. Children are included. A key that the kernel does not offer is 0; on
// v1 those are all but page faults and OOMKill.
type MemoryEvents struct {
	// OOMKill is oom_kill of memory.events; on v1 of memory.oom_control, which leaves
	// the children out.
	OOMKill uint64

	Pgfault, Pgmajfault                                                        uint64
	Pgscan, PgscanKswapd, PgscanDirect, PgscanKhugepaged, PgscanProactive      uint64
	Pgsteal, PgstealKswapd, PgstealDirect, PgstealKhugepaged, PgstealProactive uint64
	Pgrefill, Pgactivate, Pgdeactivate, Pglazyfree, Pglazyfreed                uint64
	Pswpin, Pswpout, SwpinZero, SwpoutZero                                     uint64
	Zswpin, Zswpout, Zswpwb                                                    uint64
	ThpFaultAlloc, ThpCollapseAlloc, ThpSwpout, ThpSwpoutFallback              uint64
	NumaPagesMigrated, NumaPteUpdates, NumaHintFaults                          uint64
	WorkingsetRefaultAnon, WorkingsetRefaultFile                               uint64
	WorkingsetActivateAnon, WorkingsetActivateFile                             uint64
	WorkingsetRestoreAnon, WorkingsetRestoreFile                               uint64
	WorkingsetNodereclaim                                                      uint64
}

func (e *MemoryEvents) fieldV2(key []byte) *uint64 {
	switch string(key) {
	case "pgfault":
		return &e.Pgfault
	case "pgmajfault":
		return &e.Pgmajfault
	case "pgscan":
		return &e.Pgscan
	case "pgscan_kswapd":
		return &e.PgscanKswapd
	case "pgscan_direct":
		return &e.PgscanDirect
	case "pgscan_khugepaged":
		return &e.PgscanKhugepaged
	case "pgscan_proactive":
		return &e.PgscanProactive
	case "pgsteal":
		return &e.Pgsteal
	case "pgsteal_kswapd":
		return &e.PgstealKswapd
	case "pgsteal_direct":
		return &e.PgstealDirect
	case "pgsteal_khugepaged":
		return &e.PgstealKhugepaged
	case "pgsteal_proactive":
		return &e.PgstealProactive
	case "pgrefill":
		return &e.Pgrefill
	case "pgactivate":
		return &e.Pgactivate
	case "pgdeactivate":
		return &e.Pgdeactivate
	case "pglazyfree":
		return &e.Pglazyfree
	case "pglazyfreed":
		return &e.Pglazyfreed
	case "pswpin":
		return &e.Pswpin
	case "pswpout":
		return &e.Pswpout
	case "swpin_zero":
		return &e.SwpinZero
	case "swpout_zero":
		return &e.SwpoutZero
	case "zswpin":
		return &e.Zswpin
	case "zswpout":
		return &e.Zswpout
	case "zswpwb":
		return &e.Zswpwb
	case "thp_fault_alloc":
		return &e.ThpFaultAlloc
	case "thp_collapse_alloc":
		return &e.ThpCollapseAlloc
	case "thp_swpout":
		return &e.ThpSwpout
	case "thp_swpout_fallback":
		return &e.ThpSwpoutFallback
	case "numa_pages_migrated":
		return &e.NumaPagesMigrated
	case "numa_pte_updates":
		return &e.NumaPteUpdates
	case "numa_hint_faults":
		return &e.NumaHintFaults
	case "workingset_refault_anon":
		return &e.WorkingsetRefaultAnon
	case "workingset_refault_file":
		return &e.WorkingsetRefaultFile
	case "workingset_activate_anon":
		return &e.WorkingsetActivateAnon
	case "workingset_activate_file":
		return &e.WorkingsetActivateFile
	case "workingset_restore_anon":
		return &e.WorkingsetRestoreAnon
	case "workingset_restore_file":
		return &e.WorkingsetRestoreFile
	case "workingset_nodereclaim":
		return &e.WorkingsetNodereclaim
	}
	return nil
}

// fieldV1 leaves total_pgpgin and total_pgpgout alone, which count what is
// charged rather than what is read and written, and total_workingset_*, which
// some kernels multiply by the size of a page.
func (e *MemoryEvents) fieldV1(key []byte) *uint64 {
	switch string(key) {
	case "total_pgfault":
		return &e.Pgfault
	case "total_pgmajfault":
		return &e.Pgmajfault
	}
	return nil
}

// parseOOMKill parses memory.events of v2 or memory.oom_control of v1.
func (e *MemoryEvents) parseOOMKill(b []byte) error {
	return parseFlatKeyed(b, func(key []byte) *uint64 {
		if string(key) == "oom_kill" {
			return &e.OOMKill
		}
		return nil
	})
}
