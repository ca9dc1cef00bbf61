package fs

import (
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
// method of the Server and open no file of its mount. Calls are concurrent; of those
// that may wait at most slotRenders run at once for one slot.
type Content interface {
	// Render appends to dst what a file of the slot contains now, and returns the
	// longer slice.
	Render(dst []byte, slot Slot, ref Ref) ([]byte, error)
	// TryRender is Render for as long as that takes no wait. It returns false if it
	// would: Render is to be called then. It runs on the goroutine that reads the
	// requests of all slots.
	TryRender(dst []byte, slot Slot, ref Ref) (content []byte, ok bool)
	// Members returns the members, in rising order, that the series in the path of
	// a file has now, each from 0 to 8191.
	Members(slot Slot, file int) ([]int, error)
}

var errPanic = errors.New("render panicked")

// scratchSize holds nearly every file whole.
const scratchSize = 16 << 10

// renderAt appends what the file contains now to dst. It returns false if that would
// take longer than allowed.
func (b *superblock) renderAt(at place, dst []byte, p pace) (content []byte, ok bool, err error) {
	if p == quick {
		content, ok = b.content.TryRender(dst, at.slot.id, at.ref())
		return content, ok, nil
	}
	err = b.guard(at, func() error {
		content, err = b.content.Render(dst, at.slot.id, at.ref())
		return err
	})
	return content, true, err
}

// members returns the members of a series.
func (b *superblock) members(dir place, series *node) (members []int, err error) {
	err = b.guard(place{slot: dir.slot, node: series}, func() (err error) {
		members, err = b.content.Members(dir.slot.id, series.file)
		return err
	})
	return members, err
}

// guard turns a panic of the content into an error.
func (b *superblock) guard(at place, call func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			b.panicked(at.slot.id.String()+"/"+b.files[at.node.file].Path, v, debug.Stack())
			err = errPanic
		}
	}()
	return call()
}
