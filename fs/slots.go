package fs

import (
	"fmt"
	"iter"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// slotBudget bounds the bytes of all snapshots that one slot's readers
	// hold open, memory.Cost included. A reader that opens ten thousand files
	// gets ENFILE, and costs no more than this.
	slotBudget = 16 << 20
)

// Owner is who the files of a slot belong to, in the ids of the host: usually
// the container's root.
type Owner struct {
	UID, GID uint32
}

// slot is one directory of the tree that is being served.
type slot struct {
	id      Slot
	owner   Owner
	since   time.Time
	sizes   []shownSize  // by file
	leases  leases       // none if pushed
	members atomic.Int32 // of series that the kernel may know: the number of the last, and 1
	held    atomic.Int64 // of slotBudget
	queue   queue
	looks   atomic.Int32 // of slotLooks
	stores  atomic.Int32 // of slotStores
	// publishing is held while an open file gets other content: what that costs more
	// depends on what it has.
	publishing sync.Mutex
}

func (b *superblock) newSlot(id Slot, owner Owner) *slot {
	s := &slot{id: id, owner: owner, since: time.Now(), sizes: make([]shownSize, len(b.files))}
	if !b.pushed() {
		s.leases = make(leases, len(b.files))
	}
	return s
}

// charge takes n bytes of the slot's budget and reports whether they fit.
func (s *slot) charge(n int) bool {
	if s.held.Add(int64(n)) <= slotBudget {
		return true
	}
	s.refund(n)
	return false
}

// knows notes that the kernel may know a node of the slot.
func (s *slot) knows(id nodeID) {
	n := int32(id.member()) + 1
	for old := s.members.Load(); n > old && !s.members.CompareAndSwap(old, n); old = s.members.Load() {
	}
}

func (s *slot) refund(n int) { s.held.Add(-int64(n)) }

// slots finds a slot by its index without a lock: every request begins here.
type slots struct {
	table [MaxSlots]atomic.Pointer[slot]
}

func (t *slots) add(s *slot) error {
	if s.id.Index >= MaxSlots {
		return fmt.Errorf("slot %s: index is above %d", s.id, MaxSlots-1)
	}
	if !t.table[s.id.Index].CompareAndSwap(nil, s) {
		return fmt.Errorf("slot %s: index is in use", s.id)
	}
	return nil
}

// remove reports whether it was this call that removed the slot.
func (t *slots) remove(id Slot) bool {
	s := t.find(id)
	return s != nil && t.table[id.Index].CompareAndSwap(s, nil)
}

// find returns nil for a slot that is not, or no longer, served.
func (t *slots) find(id Slot) *slot {
	if id.Index >= MaxSlots {
		return nil
	}
	s := t.table[id.Index].Load()
	if s == nil || s.id != id {
		return nil
	}
	return s
}

// at returns the slot that a node id is about, nil if it is not, or no longer, served.
func (t *slots) at(id nodeID) *slot {
	s := t.table[id.index()].Load()
	if s == nil || s.id.generation() != id.generation() {
		return nil
	}
	return s
}

// serves reports whether s itself is still in the table.
func (t *slots) serves(s *slot) bool { return t.find(s.id) == s }

// from yields the slots whose index is at least first, in order.
func (t *slots) from(first uint64) iter.Seq[*slot] {
	return func(yield func(*slot) bool) {
		for i := first; i < MaxSlots; i++ {
			if s := t.table[i].Load(); s != nil && !yield(s) {
				return
			}
		}
	}
}
