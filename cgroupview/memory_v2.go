package cgroupview

// memoryV2 reads the memory controller of cgroup2.
type memoryV2 struct {
	memory, swap accountReader
	stat, events *file
}

func newMemoryV2(d *dir) reader {
	return &memoryV2{
		memory: newAccountReader(d, "memory.max", "memory.current"),
		swap:   newAccountReader(d, "memory.swap.max", "memory.swap.current"),
		stat:   d.file(0, "memory.stat"),
		events: d.file(0, "memory.events"),
	}
}

func (r *memoryV2) read(buf *[]byte, u *Usage) error {
	if err := r.memory.read(buf, &u.Memory.Account); err != nil {
		return err
	}
	if err := r.swap.read(buf, &u.Swap.Account); err != nil {
		return err
	}
	if !u.Memory.Own {
		return nil
	}
	if _, err := r.stat.parse(buf, func(b []byte) error { return parseMemoryStat(b, &u.Memory) }); err != nil {
		return err
	}
	_, err := r.events.parse(buf, u.Memory.Events.parseOOMKill)
	return err
}

func (r *memoryV2) close() {
	r.memory.close()
	r.swap.close()
	r.stat.close()
	r.events.close()
}

// parseMemoryStat parses v2's memory.stat.
func parseMemoryStat(b []byte, m *Memory) error {
	return parseFlatKeyed(b, m.fieldV2)
}

func (m *Memory) fieldV2(key []byte) *uint64 {
	if d := m.Stat.fieldV2(key); d != nil {
		return d
	}
	return m.Events.fieldV2(key)
}

func (s *MemoryStat) fieldV2(key []byte) *uint64 {
	switch string(key) {
	case "anon":
		return &s.Anon
	case "file":
		return &s.File
	case "shmem":
		return &s.Shmem
	case "kernel_stack":
		return &s.KernelStack
	case "pagetables":
		return &s.Pagetables
	case "sec_pagetables":
		return &s.SecPagetables
	case "percpu":
		return &s.Percpu
	case "vmalloc":
		return &s.Vmalloc
	case "zswap":
		return &s.Zswap
	case "zswapped":
		return &s.Zswapped
	case "swapcached":
		return &s.Swapcached
	case "file_mapped":
		return &s.FileMapped
	case "file_dirty":
		return &s.FileDirty
	case "file_writeback":
		return &s.FileWriteback
	case "anon_thp":
		return &s.AnonThp
	case "file_thp":
		return &s.FileThp
	case "shmem_thp":
		return &s.ShmemThp
	case "inactive_anon":
		return &s.InactiveAnon
	case "active_anon":
		return &s.ActiveAnon
	case "inactive_file":
		return &s.InactiveFile
	case "active_file":
		return &s.ActiveFile
	case "unevictable":
		return &s.Unevictable
	case "slab_reclaimable":
		return &s.SlabReclaimable
	case "slab_unreclaimable":
		return &s.SlabUnreclaimable
	case "slab":
		return &s.Slab
	}
	return nil
}
