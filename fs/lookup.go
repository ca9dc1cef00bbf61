package fs

import (
	"bytes"
	"slices"

	"github.com/hanwen/go-fuse/v2/fuse"
)

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
	out.Attr, _ = b.measured(p, in.Caller.Pid, slow)
	out.SetAttrTimeout(cacheTime)
	out.SetEntryTimeout(cacheTime)
	if b.pushed() {
		p.slot.knows(p.id)
	} else if p.node.series { // a member may go, and nobody tells
		out.SetEntryTimeout(0)
	}
	return fuse.OK
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
		members, err := b.members(dir, series)
		if err != nil {
			return place{}, status(err)
		}
		if slices.Contains(members, member) {
			return b.at(dir.slot, number, member), fuse.OK
		}
	}
	return place{}, fuse.ENOENT
}

// lookupTakesNoWait reports whether a LOOKUP can be answered on the spot. To attach a
// container's views takes one for each: the kernel knows none of their names yet.
func (d *device) lookupTakesNoWait(req request) bool {
	dir, errno := d.sb.placeOf(req.node())
	if errno != 0 || dir.id == rootID {
		return true
	}
	if dir.node == nil || len(dir.node.stars) > 0 { // Content tells the members
		return false
	}
	name, _, _ := bytes.Cut(req[inHeaderLen:], []byte{0})
	number, ok := dir.node.byName[string(name)]
	if !ok || !d.sb.pushed() {
		return true
	}
	_, ok = d.sb.measured(d.sb.at(dir.slot, number, dir.id.member()), req.pid(), quick)
	return ok
}
