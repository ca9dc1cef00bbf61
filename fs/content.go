package fs

import (
	"bytes"
	"errors"
	"runtime/debug"
)

// Content says what the files contain.
type Content interface {
	// Render appends to dst what file number file (its place in the list given
	// to Mount) of the slot contains now, and returns the longer slice. It is
	// called concurrently, at most slotRenders times at once for one slot.
	//
	// The reader gets the syscall.Errno in the chain of an error, or else EIO.
	// A render must end by itself: nothing can interrupt the reader meanwhile.
	// It may call no method of the Server and open no file of its mount.
	Render(dst []byte, slot Slot, file int) ([]byte, error)
}

var errPanic = errors.New("render panicked")

// scratchSize holds nearly every file whole.
const scratchSize = 16 << 10

// render returns what the file contains now, as a copy that nobody else refers
// to and that takes little more memory than its length.
func (b *superblock) render(s *slot, file int) (content []byte, err error) {
	s.renders <- struct{}{}
	defer func() { <-s.renders }()
	defer func() {
		if v := recover(); v != nil {
			b.panicked(s.id.String()+"/"+b.files[file].Path, v, debug.Stack())
			err = errPanic
		}
	}()

	scratch := b.scratch.Get().(*[scratchSize]byte)
	defer b.scratch.Put(scratch)
	rendered, err := b.content.Render(scratch[:0], s.id, file)
	if err != nil {
		return nil, err
	}
	if s.sizes[file].set(len(rendered)) {
		b.attrChanged(newNodeID(s.id, b.tree.files[file]))
	}
	return bytes.Clone(rendered), nil
}
