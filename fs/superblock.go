package fs

import (
	"fmt"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// cacheTime is how long the kernel keeps names and attributes. Of these only a
// file's size changes while its slot exists, and attrChanged tells of it. The names
// of a series' members are not kept at all.
const cacheTime = time.Hour

// superblock is what is served at one mount.
type superblock struct {
	fuse.RawFileSystem // what is not defined here: ENOSYS, which the kernel asks once
	content            Content
	writer             Writer // nil if nothing is written to
	protocol           Protocol
	maxStale           time.Duration
	panicked           panicFunc
	files              []File
	tree               *tree
	since              time.Time
	slots              slots
	others             queue // for requests that are about no slot
	watches            watches
	stats              *stats
	proc               string
	dev                *device // whose answers these are
}

var _ fuse.RawFileSystem = (*superblock)(nil)

func newSuperblock(files []File, c Content, opts Options) (*superblock, error) {
	t, err := newTree(files)
	if err != nil {
		return nil, err
	}
	if opts.Writer != nil {
		opts.Protocol = Direct
	}
	b := &superblock{
		RawFileSystem: fuse.NewDefaultRawFileSystem(),
		content:       c,
		writer:        opts.Writer,
		protocol:      opts.Protocol,
		maxStale:      opts.MaxStale,
		panicked:      opts.Panicked,
		files:         files,
		tree:          t,
		since:         time.Now(),
		stats:         newStats(files),
		proc:          "/proc",
	}
	if b.panicked == nil {
		b.panicked = func(string, any, []byte) {}
	}
	return b, nil
}

// now is a clock that never goes back.
func (b *superblock) now() time.Duration { return time.Since(b.since) }

// nameOf returns a node's path, for messages.
func (b *superblock) nameOf(id nodeID) string {
	at, errno := b.placeOf(id)
	if errno != 0 || at.slot == nil {
		return fmt.Sprintf("node %#x", uint64(id))
	}
	return at.slot.id.String() + "/" + b.files[at.node.file].Path
}

// queueOf returns where slow requests about a node wait.
func (b *superblock) queueOf(id nodeID) *queue {
	if s := b.slots.at(id); s != nil {
		return &s.queue
	}
	return &b.others
}

// leasable reports whether a file can be read from the page cache. The members of a
// series have one lease, which can't tell them apart.
func (b *superblock) leasable(p place) bool { return b.protocol == Exact && !p.node.member }

func (b *superblock) StatFs(<-chan struct{}, *fuse.InHeader, *fuse.StatfsOut) fuse.Status {
	return fuse.OK
}
