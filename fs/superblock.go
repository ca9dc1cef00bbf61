package fs

import (
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// cacheTime is how long the kernel keeps names and attributes. Of these only a
// file's size changes while its slot exists, and attrChanged tells of it. The names
// of a series' members are not kept at all.
const cacheTime = time.Hour

// superblock answers the requests of one mount. Its protocol is the direct one:
// content goes around the page cache (FOPEN_DIRECT_IO), so every read is a
// request and is answered from the open file's snapshot.
type superblock struct {
	fuse.RawFileSystem // what is not defined here: ENOSYS, which the kernel asks once
	content            Content
	writer             Writer // nil if nothing is written to
	panicked           panicFunc
	attrChanged        func(nodeID)        // has the kernel ask for attributes again
	wake               func(poller uint64) // has the kernel poll a file again
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
		writer:        opts.Writer,
		panicked:      opts.Panicked,
		attrChanged:   func(nodeID) {},
		wake:          func(uint64) {},
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

func (p place) ref() Ref { return Ref{File: p.node.file, Member: p.id.member()} }

// place returns ESTALE for what is no longer there.
func (b *superblock) place(id uint64) (place, fuse.Status) {
	p := place{id: nodeID(id)}
	if p.id == rootID {
		return p, fuse.OK
	}
	p.slot = b.slots.at(p.id)
	p.node = b.tree.node(p.id.number())
	if p.slot == nil || p.node == nil || p.id.member() != 0 && !p.node.member {
		return p, fuse.Status(syscall.ESTALE)
	}
	return p, fuse.OK
}

// child returns ENOENT for a name that dir doesn't have.
func (b *superblock) child(dir place, name string) (place, fuse.Status) {
	if dir.id == rootID {
		if id, err := ParseSlot(name); err == nil {
			if s := b.slots.find(id); s != nil {
				return b.at(s, firstNumber, 0), fuse.OK
			}
		}
		return place{}, fuse.ENOENT
	}
	if number, ok := dir.node.byName[name]; ok {
		return b.at(dir.slot, number, dir.id.member()), fuse.OK
	}
	return b.memberOf(dir, name)
}

// memberOf finds a name among the series of a directory.
func (b *superblock) memberOf(dir place, name string) (place, fuse.Status) {
	for _, number := range dir.node.stars {
		series := b.tree.node(number)
		member, ok := series.parseMember(name)
		if !ok {
			continue
		}
		members, err := b.members(dir.slot, series)
		if err != nil {
			return place{}, status(err)
		}
		if slices.Contains(members, member) {
			return b.at(dir.slot, number, member), fuse.OK
		}
	}
	return place{}, fuse.ENOENT
}

func (b *superblock) at(s *slot, number, member int) place {
	return place{id: newNodeID(s.id, number, member), slot: s, node: b.tree.node(number)}
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
	if p.node.series { // a member may go
		out.SetEntryTimeout(0)
	}
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

// SetAttr lets a file be truncated, as it is when a shell redirects to it, and
// nothing else be changed.
func (b *superblock) SetAttr(_ <-chan struct{}, in *fuse.SetAttrIn, out *fuse.AttrOut) fuse.Status {
	p, st := b.place(in.NodeId)
	if !st.Ok() {
		return st
	}
	if in.Valid&(fuse.FATTR_MODE|fuse.FATTR_UID|fuse.FATTR_GID) != 0 {
		return fuse.EPERM
	}
	out.Attr = b.attr(p)
	out.SetTimeout(cacheTime)
	return fuse.OK
}

func (b *superblock) StatFs(<-chan struct{}, *fuse.InHeader, *fuse.StatfsOut) fuse.Status {
	return fuse.OK
}
