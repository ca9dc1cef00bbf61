package memory

import (
	"iter"
	"unsafe"
)

// NewHandle returns a handle without content. It answers ErrFull when there are too
// many.
func (m *Memory) NewHandle(o Opening) (Handle, error) {
	index, ok := m.handles.take()
	if !ok {
		return Handle{}, ErrFull
	}
	generation := m.header.generation.Add(1)
	if generation == 0 {
		generation = m.header.generation.Add(1)
	}
	r := m.recordAt(index)
	r.node, r.unique = o.Node, o.Unique
	r.poller.Store(0)
	r.noteLength.Store(0)
	word := uint64(generation)<<generationShift | stateRendering
	r.word.Store(word)
	return m.handle(index, word), nil
}

// Precondition: index < maxHandles.
func (m *Memory) recordAt(index int) *record {
	return (*record)(unsafe.Pointer(&m.bytes[handlesAt+index*recordSize]))
}

// handle returns the handle that a word at an index is of.
func (m *Memory) handle(index int, word uint64) Handle {
	return Handle{m, m.recordAt(index), word>>generationShift<<32 | uint64(index)}
}

// Find returns the handle in use that has the number.
func (m *Memory) Find(fh uint64) (Handle, bool) {
	if uint32(fh) >= maxHandles {
		return Handle{}, false
	}
	h := Handle{m, m.recordAt(int(uint32(fh))), fh}
	return h, h.InUse()
}

// FindOpening returns the handle in use that was made for an OPEN. It looks at all
// of them: that is for an OPEN which is handled twice.
func (m *Memory) FindOpening(node, unique uint64) (Handle, bool) {
	for h := range m.Handles() {
		if o := h.Opening(); o.Node == node && o.Unique == unique {
			return h, true
		}
	}
	return Handle{}, false
}

// Handles yields the handles in use, in the order of their index. Of those that come
// and go meanwhile it may know or not.
func (m *Memory) Handles() iter.Seq[Handle] {
	return func(yield func(Handle) bool) {
		for index := range m.handles.members() {
			h := m.handle(index, m.recordAt(index).word.Load())
			if h.InUse() && !yield(h) {
				return
			}
		}
	}
}

// Free ends the handle. It returns false if that was done before, as it is when a
// RELEASE is handled twice.
func (h Handle) Free() bool {
	h.mutex().Lock()
	word, ok := h.update(1<<generationShift-1, stateFree)
	h.unlock()
	if !ok {
		return false
	}
	h.memory.putContent(h.record.contentOf(word))
	h.memory.handles.put(h.index())
	return true
}

// Used returns how many handles there are and how many bytes they hold.
func (m *Memory) Used() (handles int, bytes int64) {
	handles = m.handles.count()
	return handles, int64(handles)*recordSize + m.blocks.bytes()
}
