package fs

import (
	"sync/atomic"
)

// shownSize is what stat shows as the size of a file in a slot: a bit more than
// what its last render gave. The zero value is that of an empty file.
//
//   - 0, as in procfs, would end sendfile(2) and splice(2) at once: on files that
//     are not in the page cache they go by the size alone (Linux 6.5 and later),
//     and busybox's and uutils' cat are made of them.
//   - Less than the content cuts it off for readers that trust the size.
//   - Exactly the content's length is true for one open file and not for the
//     next; a reader that trusts it meets the wrong one now and then.
//   - A page, as in sysfs, makes all readers read until the end. Above that it is
//     a multiple of 8192, which is by how much tail(1) searches backwards: the
//     last piece then has content in it.
type shownSize struct {
	units atomic.Uint32 // of sizeUnit, and measured; 0 is the smallest size
}

const (
	minSize  = 4096
	sizeUnit = 8192
	// measured says that a size is at least that of all files which it is of.
	measured = 1 << 31
)

func (s *shownSize) bytes() uint64 {
	return max(minSize, uint64(s.units.Load()&^measured)*sizeUnit)
}

// known reports whether raise was called.
func (s *shownSize) known() bool { return s.units.Load()&measured != 0 }

// resized notes the length of a render for a file that others may have open. The kernel
// is to have the size if it is another one now, but for that of a file in the page cache.
func (b *superblock) resized(p place, length int) {
	if p.slot.sizes[p.node.file].set(length) && p.slot.leases.kernelSize(p.node.file) == 0 {
		b.dev.invalAttr(p.id)
		p.lease().leaving()
		b.dev.dropPages(p)
	}
}

// resizedAlone is resized for a file that nobody else has open, nor can open meanwhile. The
// kernel is told as well if it has the size of other content.
func (b *superblock) resizedAlone(p place, length int, other bool) {
	size := &p.slot.sizes[p.node.file]
	if size.set(length) || other {
		// What is in the page cache is not of this size. The reply to the OPEN has the
		// kernel drop it, but somebody may move it before.
		_ = b.dev.invalPages(p.id)
		_ = b.dev.notify(growMessage(p.id, size.bytes(), 0))
	}
}

// set takes the length of a render and reports whether that changes the size. It is not
// for sizes that raise is for.
func (s *shownSize) set(length int) bool {
	units := unitsOf(length)
	return units != s.units.Load() && units != s.units.Swap(units)
}

// raise is set for a size that is that of several files. It never becomes smaller.
func (s *shownSize) raise(length int) {
	units := unitsOf(length) | measured
	for old := s.units.Load(); units > old && !s.units.CompareAndSwap(old, units); old = s.units.Load() {
	}
}

func unitsOf(length int) uint32 {
	if length <= minSize {
		return 0
	}
	return uint32((length + sizeUnit - 1) / sizeUnit)
}
