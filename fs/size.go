package fs

import (
	"math/bits"
	"sync/atomic"

	"github.com/hanwen/go-fuse/v2/fuse"
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
	units atomic.Uint32 // of sizeUnit; 0 is the smallest size
}

const (
	minSize  = 4096
	sizeUnit = 8192
)

// fill sets the size, and what else keeps coreutils from trusting it: files of
// no more than one block are read through, and cp looks for holes in files that
// have fewer blocks than their size. The kernel takes powers of two only.
func (s *shownSize) fill(a *fuse.Attr) {
	a.Size = max(minSize, uint64(s.units.Load())*sizeUnit)
	a.Blocks = a.Size / 512
	a.Blksize = 1 << bits.Len64(a.Size-1)
}

// set takes the length of a render and reports whether that changes the size.
func (s *shownSize) set(length int) bool {
	units := uint32(0)
	if length > minSize {
		units = uint32((length + sizeUnit - 1) / sizeUnit)
	}
	return units != s.units.Load() && units != s.units.Swap(units)
}
