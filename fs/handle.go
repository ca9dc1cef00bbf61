package fs

import (
	"sync"
	"syscall"
)

// errBudget: the slot's readers hold too much open.
const errBudget = syscall.ENFILE

// handle is one open file.
type handle struct {
	slot *slot
	ref  Ref

	mu       sync.Mutex
	snapshot []byte // guarded by mu; replaced, never written to
	used     bool   // guarded by mu: the snapshot has been read from

	watching watching // see poll.go
}

func newHandle(s *slot, ref Ref, snapshot []byte) (*handle, error) {
	if !s.charge(handleCost + len(snapshot)) {
		return nil, errBudget
	}
	return &handle{slot: s, ref: ref, snapshot: snapshot}, nil
}

// read returns what follows offset. At offset 0 of a handle that has been read
// before that is new content, otherwise the rest of the snapshot. The returned
// bytes stay as they are when the handle gets another snapshot meanwhile.
func (h *handle) read(offset uint64, render func() ([]byte, error)) ([]byte, error) {
	h.mu.Lock()
	snapshot, again := h.snapshot, h.used && offset == 0
	h.used = true
	h.mu.Unlock()

	if again {
		var err error
		if snapshot, err = render(); err != nil {
			return nil, err
		}
		if err = h.replace(snapshot); err != nil {
			return nil, err
		}
	}
	if offset >= uint64(len(snapshot)) {
		return nil, nil
	}
	return snapshot[offset:], nil
}

func (h *handle) replace(snapshot []byte) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.slot.charge(len(snapshot) - len(h.snapshot)) {
		return errBudget
	}
	h.snapshot = snapshot
	return nil
}

// close gives back what the handle took of its slot's budget.
func (h *handle) close() {
	h.watching.close(h.slot)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.slot.refund(handleCost + len(h.snapshot))
}

// handles are the open files by the number that the kernel knows them by.
type handles struct {
	mu   sync.RWMutex
	last uint64             // guarded by mu
	open map[uint64]*handle // guarded by mu
}

func (t *handles) add(h *handle) uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.open == nil {
		t.open = map[uint64]*handle{}
	}
	t.last++
	t.open[t.last] = h
	return t.last
}

// find returns nil for a number that is not open.
func (t *handles) find(fh uint64) *handle {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.open[fh]
}

// remove returns nil for a number that is not open.
func (t *handles) remove(fh uint64) *handle {
	t.mu.Lock()
	defer t.mu.Unlock()
	h := t.open[fh]
	delete(t.open, fh)
	return h
}
