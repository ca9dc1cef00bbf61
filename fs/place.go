package fs

import (
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// place is what a node id refers to. The root has neither slot nor node.
type place struct {
	id   nodeID
	slot *slot
	node *node
}

func (p place) ref() Ref { return Ref{File: p.node.file, Member: p.id.member()} }

// isFile reports whether it is no directory.
func (p place) isFile() bool { return p.node != nil && !p.node.isDir() }

// lease is that of a file. The files of a series, which are never leased, have one
// for all members. Precondition: the superblock is not pushed.
func (p place) lease() *lease { return p.slot.leases.at(p.node.file) }

// placeOf returns ESTALE for what is no longer there.
func (b *superblock) placeOf(id nodeID) (place, unix.Errno) {
	p := place{id: id}
	if id == rootID {
		return p, 0
	}
	p.slot = b.slots.at(id)
	p.node = b.tree.node(id.number())
	if p.slot == nil || p.node == nil || id.member() != 0 && !p.node.member {
		return p, unix.ESTALE
	}
	return p, 0
}

// fileOf is placeOf for what can be opened and read.
func (b *superblock) fileOf(id nodeID) (place, unix.Errno) {
	p, errno := b.placeOf(id)
	if errno == 0 && !p.isFile() {
		errno = unix.EISDIR
	}
	return p, errno
}

// place is placeOf for the protocol server.
func (b *superblock) place(id uint64) (place, fuse.Status) {
	p, errno := b.placeOf(nodeID(id))
	return p, fuse.Status(errno)
}

func (b *superblock) at(s *slot, number, member int) place {
	return place{id: newNodeID(s.id, number, member), slot: s, node: b.tree.node(number)}
}
