package fs

import (
	"bytes"
	"errors"
	"runtime/debug"
)

// Ref names a file of a slot.
type Ref struct {
	// File is its place in the list given to Mount.
	File int
	// Member tells the files of a series apart; 0 for all others.
	Member int
}

// Content says what the files contain.
//
// The reader gets the syscall.Errno in the chain of an error, or else EIO. A call
// must end by itself: nothing can interrupt the reader meanwhile. It may call no
// method of the Server and open no file of its mount. Calls are concurrent, at most
// slotRenders at once for one slot.
type Content interface {
	// Render appends to dst what a file of the slot contains now, and returns the
	// longer slice.
	Render(dst []byte, slot Slot, ref Ref) ([]byte, error)
	// Members returns the members, in rising order, that the series in the path of
	// a file has now, each from 0 to 8191.
	Members(slot Slot, file int) ([]int, error)
}

var errPanic = errors.New("render panicked")

// scratchSize holds nearly every file whole.
const scratchSize = 16 << 10

// render returns what the file contains now, as a copy that nobody else refers
// to and that takes little more memory than its length.
func (b *superblock) render(s *slot, ref Ref) (content []byte, err error) {
	scratch := b.scratch.Get().(*[scratchSize]byte)
	defer b.scratch.Put(scratch)
	err = b.guard(s, ref.File, func() error {
		rendered, err := b.content.Render(scratch[:0], s.id, ref)
		content = bytes.Clone(rendered)
		return err
	})
	if err != nil {
		return nil, err
	}
	if s.sizes[ref.File].set(len(content)) {
		b.attrChanged(newNodeID(s.id, b.tree.files[ref.File], ref.Member))
	}
	return content, nil
}

// members returns the members of a series.
func (b *superblock) members(s *slot, series *node) (members []int, err error) {
	err = b.guard(s, series.file, func() (err error) {
		members, err = b.content.Members(s.id, series.file)
		return err
	})
	return members, err
}

// guard keeps what is asked of the content within its bounds.
func (b *superblock) guard(s *slot, file int, call func() error) (err error) {
	s.renders <- struct{}{}
	defer func() { <-s.renders }()
	defer func() {
		if v := recover(); v != nil {
			b.panicked(s.id.String()+"/"+b.files[file].Path, v, debug.Stack())
			err = errPanic
		}
	}()
	return call()
}
