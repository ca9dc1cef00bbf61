package cgroupview

import "fmt"

// memoryV1 reads the memory controller of cgroup v1.
type memoryV1 struct {
	memory, memsw                accountReader
	stat, oomControl, swappiness *file
}

func newMemoryV1(d *dir) reader {
	return &memoryV1{
		memory:     newAccountReader(d, "memory.limit_in_bytes", "memory.usage_in_bytes"),
		memsw:      newAccountReader(d, "memory.memsw.limit_in_bytes", "memory.memsw.usage_in_bytes"),
		stat:       d.file(0, "memory.stat"),
		oomControl: d.file(0, "memory.oom_control"),
		swappiness: d.file(0, "memory.swappiness"),
	}
}

func (r *memoryV1) read(buf *[]byte, u *Usage) error {
	if err := r.memory.read(buf, &u.Memory.Account); err != nil {
		return err
	}
	if err := r.readSwap(buf, u); err != nil {
		return err
	}
	if !u.Memory.Own {
		return nil
	}
	if _, err := r.stat.parse(buf, func(b []byte) error { return parseMemoryStatV1(b, u) }); err != nil {
		return err
	}
	_, err := r.oomControl.parse(buf, u.Memory.Events.parseOOMKill)
	return err
}

func (r *memoryV1) readSwap(buf *[]byte, u *Usage) error {
	if err := r.memsw.read(buf, &u.Swap.Account); err != nil || !u.Swap.Present {
		return err
	}
	u.Swap.fromMemsw(u.Memory.Usage)
	if !u.Swap.Own {
		return nil
	}
	_, err := r.swappiness.parse(buf, func(b []byte) error {
		v, err := parseUint(b)
		if v > 200 { // the largest value that the kernel takes
			return fmt.Errorf("swappiness %d: %w", v, ErrFormat)
		}
		u.Swap.Swappiness = int(v)
		return err
	})
	return err
}

// fromMemsw turns the account of memory and swap together into that of swap,
// given the memory part of the usage. That part could move to swap without
// being charged again, so it adds to the headroom.
func (s *Swap) fromMemsw(memory uint64) {
	s.Usage = sub(s.Usage, memory)
	s.Headroom = add(s.Headroom, memory)
}

func (r *memoryV1) close() {
	r.memory.close()
	r.memsw.close()
	r.stat.close()
	r.oomControl.close()
	r.swappiness.close()
}

// parseMemoryStatV1 parses v1's memory.stat. Its total_ keys include the
// children, as every v2 key does. Where memory and swap together are accounted, it
// tells the part in swap: the difference of the two usages, which are read one after
// the other while memory is charged, can be one that there isn't.
func parseMemoryStatV1(b []byte, u *Usage) error {
	return parseFlatKeyed(b, func(key []byte) *uint64 {
		if u.Swap.Own && string(key) == "total_swap" {
			return &u.Swap.Usage
		}
		return u.Memory.fieldV1(key)
	})
}

func (m *Memory) fieldV1(key []byte) *uint64 {
	if d := m.Stat.fieldV1(key); d != nil {
		return d
	}
	return m.Events.fieldV1(key)
}

func (s *MemoryStat) fieldV1(key []byte) *uint64 {
	switch string(key) {
	case "total_cache":
		return &s.File
	case "total_rss":
		return &s.Anon
	case "total_rss_huge":
		return &s.AnonThp
	case "total_shmem":
		return &s.Shmem
	case "total_swapcached":
		return &s.Swapcached
	case "total_mapped_file":
		return &s.FileMapped
	case "total_dirty":
		return &s.FileDirty
	case "total_writeback":
		return &s.FileWriteback
	case "total_inactive_anon":
		return &s.InactiveAnon
	case "total_active_anon":
		return &s.ActiveAnon
	case "total_inactive_file":
		return &s.InactiveFile
	case "total_active_file":
		return &s.ActiveFile
	case "total_unevictable":
		return &s.Unevictable
	}
	return nil
}
