package fs

import (
	"iter"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// OpenDir is not left at ENOSYS, after which the kernel would keep listings of
// the root that no longer hold.
func (b *superblock) OpenDir(<-chan struct{}, *fuse.OpenIn, *fuse.OpenOut) fuse.Status {
	return fuse.OK
}

// ReadDir continues after the entry whose position the reader got last. A
// position belongs to its entry, so slots that come and go meanwhile make a
// listing of the root neither skip nor repeat another one.
func (b *superblock) ReadDir(_ <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	dir, st := b.place(in.NodeId)
	if !st.Ok() {
		return st
	}
	for e := range b.entries(dir, in.Offset) {
		if !out.AddDirEntry(e) {
			return fuse.OK
		}
	}
	if dir.id == rootID {
		return fuse.OK
	}
	for i := range dir.node.stars {
		full, err := b.addMembers(dir, i, in.Offset, out)
		if full || err != nil {
			return status(err)
		}
	}
	return fuse.OK
}

// firstChild is the position before a directory's own entries: "." and ".."
// have 1 and 2. The members of its series come after them: see memberPosition.
const firstChild = 2

// memberPosition is beyond that of every entry of the tree.
func memberPosition(star, member int) uint64 {
	return uint64(star+1)<<(memberBits+1) + uint64(member)
}

// addMembers lists the members of one of a directory's series whose position is
// beyond after. It reports whether out was full before the last one.
func (b *superblock) addMembers(dir place, star int, after uint64, out *fuse.DirEntryList) (full bool, err error) {
	number := dir.node.stars[star]
	series := b.tree.node(number)
	members, err := b.members(dir, series)
	if err != nil {
		return false, err
	}
	for _, member := range members {
		e := fuse.DirEntry{
			Name: series.memberName(member),
			Mode: series.mode,
			Ino:  newNodeID(dir.slot.id, number, member).ino(),
			Off:  memberPosition(star, member),
		}
		if e.Off > after && !out.AddDirEntry(e) {
			return true, nil
		}
	}
	return false, nil
}

// entries yields the entries of dir whose position is beyond after.
func (b *superblock) entries(dir place, after uint64) iter.Seq[fuse.DirEntry] {
	return func(yield func(fuse.DirEntry) bool) {
		for position, name := range []string{".", ".."} {
			e := fuse.DirEntry{Name: name, Mode: dirMode, Ino: dir.id.ino(), Off: uint64(position) + 1}
			if name == ".." {
				e.Ino = b.parent(dir).ino()
			}
			if e.Off > after && !yield(e) {
				return
			}
		}
		after = max(after, firstChild)
		if dir.id == rootID {
			b.slotEntries(after, yield)
		} else {
			b.treeEntries(dir, after, yield)
		}
	}
}

// slotEntries: a slot's position is its index + firstChild + 1.
func (b *superblock) slotEntries(after uint64, yield func(fuse.DirEntry) bool) {
	for s := range b.slots.from(after - firstChild) {
		e := fuse.DirEntry{
			Name: s.id.String(),
			Mode: dirMode,
			Ino:  newNodeID(s.id, firstNumber, 0).ino(),
			Off:  uint64(s.id.Index) + firstChild + 1,
		}
		if !yield(e) {
			return
		}
	}
}

// treeEntries: a file's position is its place in the directory + firstChild + 1.
func (b *superblock) treeEntries(dir place, after uint64, yield func(fuse.DirEntry) bool) {
	for i := after - firstChild; i < uint64(len(dir.node.order)); i++ {
		p := b.at(dir.slot, dir.node.order[i], dir.id.member())
		if !yield(fuse.DirEntry{Name: p.node.name, Mode: p.node.mode, Ino: p.id.ino(), Off: i + firstChild + 1}) {
			return
		}
	}
}

func (b *superblock) parent(dir place) nodeID {
	if dir.id == rootID || dir.id.number() == firstNumber {
		return rootID
	}
	member := dir.id.member()
	if dir.node.series {
		member = 0
	}
	return newNodeID(dir.slot.id, dir.node.parent, member)
}
