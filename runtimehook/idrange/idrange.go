// Package idrange gives each container a range of the host's user and group ids
// that nobody else has.
//
// The region of the host's ids that containers get theirs from is divided into
// blocks of 65536. A block is given out if no container has it and no other claim
// on the host's ids touches it: lines of /etc/subuid and /etc/subgid that are not
// cloister's, and whatever other sources the allocator is given. The lowest free
// block comes first.
package idrange

import (
	"errors"
	"fmt"
	"sync"
)

// Size is the number of ids of one container.
const Size = 65536

// ErrExhausted is returned when no block of the region is free.
var ErrExhausted = errors.New("no free range of user ids")

// ErrTaken is returned when a range overlaps one that is in use.
var ErrTaken = errors.New("range of user ids is in use")

// Range is a range of the host's ids; user and group ids alike.
type Range struct {
	Start uint32 `json:"start"`
	Size  uint32 `json:"size"`
}

// String prints the range as /etc/subuid does.
func (r Range) String() string { return fmt.Sprintf("%d:%d", r.Start, r.Size) }

func (r Range) end() uint64 { return uint64(r.Start) + uint64(r.Size) }

// Overlaps reports whether two ranges share an id.
func (r Range) Overlaps(o Range) bool {
	return uint64(r.Start) < o.end() && uint64(o.Start) < r.end()
}

// Claims returns ranges that others have on this host. It is asked at every
// allocation.
type Claims func() ([]Range, error)

// Allocator hands out blocks of a region. It is safe for concurrent use.
type Allocator struct {
	region Range
	others []Claims

	mu    sync.Mutex
	inUse map[Range]int // ranges of containers and how many share each, guarded by mu
}

// New returns an allocator for a region, with the claims of others on it.
func New(region Range, others ...Claims) *Allocator {
	return &Allocator{region: region, others: others, inUse: map[Range]int{}}
}

// Region returns the region.
func (a *Allocator) Region() Range { return a.region }

// Used returns how many ids of containers are in use.
func (a *Allocator) Used() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	var n uint64
	for r := range a.inUse {
		n += uint64(r.Size)
	}
	return n
}

// Allocate takes the lowest free block.
func (a *Allocator) Allocate() (Range, error) {
	var foreign []Range
	for _, claims := range a.others {
		c, err := claims()
		if err != nil {
			return Range{}, fmt.Errorf("allocate user ids: %w", err)
		}
		foreign = append(foreign, c...)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for start := uint64(a.region.Start); start+Size <= a.region.end(); start += Size {
		block := Range{uint32(start), Size}
		if !overlapsAny(block, foreign) && !a.taken(block) {
			a.inUse[block] = 1
			return block, nil
		}
	}
	return Range{}, fmt.Errorf("%w: the region %v holds %d ranges, %d ids of it are in use by containers and %d ranges on this host belong to others; free containers or enlarge cloister.idRegion in the settings",
		ErrExhausted, a.region, a.region.Size/Size, a.usedLocked(), len(foreign))
}

func (a *Allocator) usedLocked() (n uint64) {
	for r := range a.inUse {
		n += uint64(r.Size)
	}
	return n
}

func (a *Allocator) taken(block Range) bool {
	if a.inUse[block] > 0 {
		return true
	}
	for r := range a.inUse {
		if r.Overlaps(block) {
			return true
		}
	}
	return false
}

func overlapsAny(r Range, all []Range) bool {
	for _, o := range all {
		if r.Overlaps(o) {
			return true
		}
	}
	return false
}

// Claim notes a range that a container has already: after a restart, or because
// its engine chose it. A range that overlaps another one in use is ErrTaken.
func (a *Allocator) Claim(r Range) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.taken(r) {
		return fmt.Errorf("%v: %w", r, ErrTaken)
	}
	a.inUse[r] = 1
	return nil
}

// Share notes one more container in a range that is in use, because it joins the
// user namespace of another.
func (a *Allocator) Share(r Range) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.inUse[r] == 0 {
		return fmt.Errorf("%v is not in use", r)
	}
	a.inUse[r]++
	return nil
}

// Free gives back a range, once for every Allocate, Claim or Share.
func (a *Allocator) Free(r Range) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.inUse[r]--; a.inUse[r] <= 0 {
		delete(a.inUse, r)
	}
}
