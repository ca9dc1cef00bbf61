package emul

import (
	"math/bits"

	"cloister/cgroupview"
)

// memory holds the figures, in bytes, that meminfo and swaps agree on.
type memory struct {
	// free <= available <= total <= the host's total; free and available are
	// no larger than the host's either.
	total, free, available uint64
	// swapFree <= swapTotal.
	swapTotal, swapFree    uint64
	commitLimit, committed uint64
	stat                   cgroupview.MemoryStat
}

func newMemory(host *hostMeminfo, u *cgroupview.Usage) memory {
	// With a limit of 0 nothing can run, but programs divide by the total.
	m := memory{total: min(host.total, max(u.Memory.Limit, pageSize)), stat: u.Memory.Stat}
	room := min(sub(m.total, u.Memory.Usage), u.Memory.Headroom)
	m.free = min(room, host.free, host.available)
	// What of the room others fill with page cache is there for the asking, as the
	// host's available memory tells.
	reclaimable := m.stat.ActiveFile + m.stat.InactiveFile + m.stat.SlabReclaimable
	m.available = min(room+reclaimable, m.total, host.available)
	m.swapTotal, m.swapFree = swap(host, u.Swap)
	m.commitLimit = mulDiv(m.total, sub(host.commitLimit, host.swapTotal), host.total) + m.swapTotal
	m.committed = m.stat.Anon + m.stat.Shmem + u.Swap.Usage
	return m
}

// swap returns the swap space that the container can use, and the free part.
// Nothing is shown where the kernel does not account swap: its use would not
// show. A limit below the usage takes nothing away from it.
func swap(host *hostMeminfo, s cgroupview.Swap) (total, free uint64) {
	if !s.Present {
		return 0, 0
	}
	if s.Swappiness == 0 { // v1: nothing more will be swapped out
		return s.Usage, 0
	}
	total = max(min(host.swapTotal, s.Limit), s.Usage)
	return total, min(total-s.Usage, s.Headroom, host.swapFree)
}

// sub returns a - b, or 0 where that would be negative.
func sub(a, b uint64) uint64 {
	if b > a {
		return 0
	}
	return a - b
}

// mulDiv returns a·b/c in full precision, and 0 where that is no uint64.
func mulDiv(a, b, c uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	if hi >= c {
		return 0
	}
	v, _ := bits.Div64(hi, lo, c)
	return v
}
