package fs

import (
	"sync"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// cacheTime is how long the kernel keeps names and attributes. Of these only a
// file's size changes while its slot exists, and attrChanged tells of it.
const cacheTime = time.Hour

// superblock answers the requests of one mount. Its protocol is the direct one:
// content goes around the page cache (FOPEN_DIRECT_IO), so every read is a
// request and is answered from the open file's snapshot.
type superblock struct {
	fuse.RawFileSystem // what is not defined here: ENOSYS, which the kernel asks once
	content            Content
	panicked           panicFunc
	attrChanged        func(nodeID) // has the kernel ask for attributes again
	files              []File
	tree               *tree
	since              time.Time
	slots              slots
	handles            handles
	scratch            sync.Pool // of *[scratchSize]byte
}

var _ fuse.RawFileSystem = (*superblock)(nil)

func newSuperblock(files []File, c Content, opts Options) (*superblock, error) {
	t, err := newTree(files)
	if err != nil {
		return nil, err
	}
	b := &superblock{
		RawFileSystem: fuse.NewDefaultRawFileSystem(),
		content:       c,
		panicked:      opts.Panicked,
		attrChanged:   func(nodeID) {},
		files:         files,
		tree:          t,
		since:         time.Now(),
		scratch:       sync.Pool{New: func() any { return new([scratchSize]byte) }},
	}
	if b.panicked == nil {
		b.panicked = func(string, any, []byte) {}
	}
	return b, nil
}

// place is what a node id refers to. The root has neither slot nor node.
type place struct {
	id   nodeID
	slot *slot
	node *node
}

// place returns ESTALE for what is no longer there.
func (b *superblock) place(id uint64) (place, fuse.Status) {
	p := place{id: nodeID(id)}
	if p.id == rootID {
		return p, fuse.OK
	}
	p.slot = b.slots.find(p.id.slot())
	p.node = b.tree.node(p.id.number())
	if p.slot == nil || p.node == nil {
		return p, fuse.Status(syscall.ESTALE)
	}
	return p, fuse.OK
}

// child returns ENOENT for a name that dir doesn't have.
func (b *superblock) child(dir place, name string) (place, fuse.Status) {
	if dir.id == rootID {
		if id, err := ParseSlot(name); err == nil {
			if s := b.slots.find(id); s != nil {
				return b.at(s, firstNumber), fuse.OK
			}
		}
		return place{}, fuse.ENOENT
	}
	number, ok := dir.node.byName[name]
	if !ok {
		return place{}, fuse.ENOENT
	}
	return b.at(dir.slot, number), fuse.OK
}

func (b *superblock) at(s *slot, number int) place {
	return place{id: newNodeID(s.id, number), slot: s, node: b.tree.node(number)}
}

func (b *superblock) attr(p place) fuse.Attr {
	a := fuse.Attr{Ino: p.id.ino(), Nlink: 1, Mode: rootMode, Blksize: minSize}
	since := b.since
	if p.slot != nil {
		a.Mode = p.node.mode
		if !p.node.isDir() {
			p.slot.sizes[p.node.file].fill(&a)
		}
		a.Owner = fuse.Owner{Uid: p.slot.owner.UID, Gid: p.slot.owner.GID}
		since = p.slot.since
	}
	a.SetTimes(&since, &since, &since)
	return a
}

func (b *superblock) Lookup(_ <-chan struct{}, in *fuse.InHeader, name string, out *fuse.EntryOut) fuse.Status {
	dir, st := b.place(in.NodeId)
	if !st.Ok() {
		return st
	}
	p, st := b.child(dir, name)
	if !st.Ok() {
		return st
	}
	out.NodeId = uint64(p.id)
	out.Attr = b.attr(p)
	out.SetEntryTimeout(cacheTime)
	out.SetAttrTimeout(cacheTime)
	return fuse.OK
}

func (b *superblock) GetAttr(_ <-chan struct{}, in *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	p, st := b.place(in.NodeId)
	if !st.Ok() {
		return st
	}
	out.Attr = b.attr(p)
	out.SetTimeout(cacheTime)
	return fuse.OK
}

func (b *superblock) StatFs(<-chan struct{}, *fuse.InHeader, *fuse.StatfsOut) fuse.Status {
	return fuse.OK
}
