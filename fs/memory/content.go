package memory

// Publish gives the handle content, which is copied, in place of what it had. Readers
// get the one or the other, and so does a successor.
func (h Handle) Publish(content []byte) error {
	if len(content) == 0 {
		return h.publishEmpty()
	}
	if len(content) > MaxContent {
		return ErrTooLong
	}
	b := &h.memory.blocks
	k, ok := b.take(len(content))
	if !ok {
		return ErrFull
	}
	copy(b.at(k), content)
	if !h.install(newDescriptor(k, len(content))) {
		b.put(k)
		return ErrClosed
	}
	return nil
}

func (h Handle) publishEmpty() error {
	if !h.install(0) {
		return ErrClosed
	}
	return nil
}

// install makes d the content, with one store, and frees what was it before.
func (h Handle) install(d descriptor) bool {
	if !h.lock() {
		return false
	}
	word := h.record.word.Load()
	old := h.record.contentOf(word)
	h.record.content.Store(uint64(d))
	if word&stateMask != stateOpen {
		h.update(stateMask, stateOpen)
	}
	h.unlock()
	h.memory.putContent(old)
	return true
}

// contentOf returns the content of a record with the word.
func (r *record) contentOf(word uint64) descriptor {
	if word&stateMask != stateOpen {
		return 0
	}
	return descriptor(r.content.Load())
}

func (m *Memory) putContent(d descriptor) {
	if d != 0 {
		m.blocks.put(d.block())
	}
}

func (m *Memory) contentAt(d descriptor) []byte {
	if d == 0 {
		return nil
	}
	return m.blocks.at(d.block())[:d.length()]
}

// descriptor tells of the content. Precondition: the handle is locked.
func (h Handle) descriptor() descriptor { return h.record.contentOf(h.record.word.Load()) }

// Copy copies what follows offset and returns how much that was.
func (h Handle) Copy(dst []byte, offset uint64) int {
	if !h.lock() {
		return 0
	}
	content := h.memory.contentAt(h.descriptor())
	n := copy(dst, content[min(offset, uint64(len(content))):])
	h.unlock()
	return n
}

// Len returns the length of the content.
func (h Handle) Len() int {
	if !h.lock() {
		return 0
	}
	defer h.unlock()
	return h.descriptor().length()
}

// Cost returns how many bytes the handle holds, 0 if it was freed.
func (h Handle) Cost() int {
	if !h.lock() {
		return 0
	}
	defer h.unlock()
	return Cost(h.descriptor().length())
}

// Cost returns how many bytes a handle holds whose content was published with a length.
func Cost(length int) int {
	if length == 0 {
		return recordSize
	}
	return recordSize + blockSize(classFor(length))
}
