package cgroupview

// Memory is the memory of a cgroup, in bytes.
type Memory struct {
	Account
	// Stat is the composition of the usage; all 0 unless Own.
	Stat MemoryStat
	// Events is what has happened to it; all 0 unless Own.
	Events MemoryEvents
}

// Swap is the swap space of a cgroup, in bytes.
type Swap struct {
	// Account is that of swap space alone on v2. On v1, where the limit is
	// on memory and swap together, Limit is that sum's (all of it may be
	// swapped out), Usage the part in swap, and Headroom what could still be
	// swapped out.
	Account
	// Swappiness is v1's memory.swappiness of the cgroup, -1 where there is
	// none. 0 keeps a v1 cgroup from swapping.
	Swappiness int
}

// MemoryStat is memory.stat: the fields carry the names of its v2 keys, in
// bytes. Children are included. A key that the kernel does not offer is 0; on
// v1 those are everything about kernel memory.
type MemoryStat struct {
	Anon, File, Shmem                     uint64
	KernelStack, Pagetables               uint64
	SecPagetables, Percpu, Vmalloc        uint64
	Zswap, Zswapped, Swapcached           uint64
	FileMapped, FileDirty, FileWriteback  uint64
	AnonThp, FileThp, ShmemThp            uint64
	InactiveAnon, ActiveAnon              uint64
	InactiveFile, ActiveFile, Unevictable uint64
	SlabReclaimable, SlabUnreclaimable    uint64
	Slab                                  uint64
}
