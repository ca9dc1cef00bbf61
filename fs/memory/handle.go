package memory

import "sync/atomic"

// Handle is an open file. It is a reference: copies are the same open file. What is
// asked of a handle that was freed is refused, or nothing: its place may be another
// handle's by then.
type Handle struct {
	memory *Memory
	record *record
	fh     uint64
}

// Opening says which OPEN a handle is of.
type Opening struct {
	Node   uint64 // the file, by its FUSE node id
	Unique uint64 // the request
}

// FH returns the number that the kernel knows the handle by. It is never 0.
func (h Handle) FH() uint64 { return h.fh }

// index is the lower half of the number, the generation the upper one.
func (h Handle) index() int { return int(uint32(h.fh)) }

// is reports whether a word says that the handle is in use.
func (h Handle) is(word uint64) bool {
	return word>>generationShift == h.fh>>32 && word&stateMask != stateFree
}

// InUse reports whether the handle was not freed.
func (h Handle) InUse() bool { return h.is(h.record.word.Load()) }

// Rendered reports whether the handle has content.
func (h Handle) Rendered() bool {
	word := h.record.word.Load()
	return h.is(word) && word&stateMask == stateOpen
}

// Opening is all zeros for a handle that was freed.
func (h Handle) Opening() Opening {
	o := Opening{
		Node:   atomic.LoadUint64(&h.record.node),
		Unique: atomic.LoadUint64(&h.record.unique),
	}
	if !h.InUse() {
		return Opening{}
	}
	return o
}

// Flags returns the flags of the handle, which mean what their user likes. There are 24.
func (h Handle) Flags() uint32 {
	word := h.record.word.Load()
	if !h.is(word) {
		return 0
	}
	return uint32(word) >> flagsShift
}

// SetFlags clears flags, then sets some. It returns false for a handle that was freed.
func (h Handle) SetFlags(clear, set uint32) bool {
	_, ok := h.update(uint64(clear<<flagsShift), uint64(set<<flagsShift))
	return ok
}

// update clears bits of the word, then sets some. It returns what the word was before,
// or false if that was no longer the handle's.
func (h Handle) update(clear, set uint64) (uint64, bool) {
	for {
		word := h.record.word.Load()
		if !h.is(word) {
			return 0, false
		}
		if h.record.word.CompareAndSwap(word, word&^clear|set) {
			return word, true
		}
	}
}

// lock takes the lock of a handle that is in use.
func (h Handle) lock() bool {
	h.mutex().Lock()
	if h.InUse() {
		return true
	}
	h.unlock()
	return false
}

func (h Handle) unlock() { h.mutex().Unlock() }

func (h Handle) mutex() *paddedMutex { return &h.memory.locks[h.index()%handleLocks] }

// Poller returns what SetPoller was called with, or 0.
func (h Handle) Poller() uint64 {
	poller := h.record.poller.Load()
	if !h.InUse() {
		return 0
	}
	return poller
}

// SetPoller keeps the kernel's name for who polls the file.
func (h Handle) SetPoller(poller uint64) bool {
	if !h.lock() {
		return false
	}
	defer h.unlock()
	h.record.poller.Store(poller)
	return true
}

// Note returns what SetNote was called with, or "".
func (h Handle) Note() string {
	if !h.lock() {
		return ""
	}
	defer h.unlock()
	return string(h.record.note[:min(h.record.noteLength.Load(), MaxNote)])
}

// SetNote keeps a short text about the handle. Who dies before it returns may have left
// the handle without a note.
func (h Handle) SetNote(note string) error {
	if len(note) > MaxNote {
		return ErrTooLong
	}
	if !h.lock() {
		return ErrClosed
	}
	defer h.unlock()
	h.record.noteLength.Store(0)
	copy(h.record.note[:], note)
	h.record.noteLength.Store(uint32(len(note)))
	return nil
}
