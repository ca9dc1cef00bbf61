package memory

import (
	"iter"
	"math/bits"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// pool is a part of the file that has units of one size.
type pool struct {
	memory []byte
	unit   int
	// keep is the first unit whose memory is given back to the kernel when it is
	// free: what is below is soon taken again.
	keep int
	// together is how many units are given back at once: what makes whole pages.
	// It is 1 or 64, or 0 where even 64 make none.
	together int

	mu   sync.Mutex
	used set // guarded by mu
}

// keepBytes is how much memory of free units a pool keeps.
const keepBytes = 4 << 20

// init makes a pool of which all is free. Its bound is a multiple of 64.
func (p *pool) init(memory []byte, unit, keep int) {
	p.memory, p.unit, p.keep = memory, unit, keep/unit
	switch page := os.Getpagesize(); {
	case unit%page == 0:
		p.together = 1
	case unit*64%page == 0:
		p.together = 64
	}
	p.used = newSet(len(memory) / unit)
}

// at returns the memory of a unit. Precondition: there is such a unit.
func (p *pool) at(i int) []byte {
	return p.memory[i*p.unit : (i+1)*p.unit : (i+1)*p.unit]
}

func (p *pool) take() (int, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.used.take()
}

// claim takes a certain unit. It reports whether it was free.
func (p *pool) claim(i int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.used.add(i)
}

// put frees a unit. Memory is given back before somebody else can take it: of one
// unit before it is free, of several under the lock.
func (p *pool) put(i int) {
	giveBack := i >= p.keep
	if giveBack && p.together == 1 {
		p.giveBack(i, i+1)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.used.remove(i)
	if giveBack && p.together == 64 && p.used.group(i/64) == 0 {
		p.giveBack(i&^63, i&^63+64)
	}
}

// giveBack makes the units from i to before end read as zeros. An error is none of the
// caller's: the memory stays taken.
func (p *pool) giveBack(i, end int) {
	_ = unix.Madvise(p.memory[i*p.unit:end*p.unit], unix.MADV_REMOVE)
}

// giveBackFree gives back what is free and was not given back, because the predecessor
// came to its end in between. Precondition: nobody else uses the pool.
func (p *pool) giveBackFree() {
	if p.together == 0 {
		return
	}
	from := p.keep
	for i := range p.members() {
		if i < p.keep {
			continue
		}
		start := i / p.together * p.together
		if start > from {
			p.giveBack(from, start)
		}
		from = start + p.together
	}
	if end := len(p.memory) / p.unit; from < end {
		p.giveBack(from, end)
	}
}

// members yields the units that are in use, in rising order; of those that come and go
// meanwhile it may know or not.
func (p *pool) members() iter.Seq[int] {
	return func(yield func(int) bool) {
		for group := 0; ; group++ {
			p.mu.Lock()
			group = p.used.nextGroup(group)
			if group == len(p.used.levels[0]) {
				p.mu.Unlock()
				return
			}
			word := p.used.group(group)
			p.mu.Unlock()
			for ; word != 0; word &= word - 1 {
				if !yield(group*64 + bits.TrailingZeros64(word)) {
					return
				}
			}
		}
	}
}

// count returns how many units are in use.
func (p *pool) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.used.count
}
