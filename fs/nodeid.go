package fs

// nodeID is what the kernel calls a file by:
//
//	63            32 31        16 15         0
//	+---------------+------------+------------+
//	|  generation   |   index    |   number   |
//	+---------------+------------+------------+
//
// Generation and index are the slot's, number is the file's place in the tree
// that all slots share. The layout is injective, so ids never collide, and it
// depends on nothing that a restart could lose.
//
// Numbers begin at 2 because id 0 is no node and id 1 is the root. They end at
// 65534, which keeps the last 32-bit value free as well: it means "unknown
// inode" in directory listings.
type nodeID uint64

const (
	rootID      nodeID = 1 // FUSE_ROOT_ID
	firstNumber        = 2
	lastNumber         = 1<<16 - 2
)

// Preconditions: s.Index < MaxSlots and firstNumber <= number <= lastNumber.
func newNodeID(s Slot, number int) nodeID {
	return nodeID(s.Generation)<<32 | nodeID(s.Index)<<16 | nodeID(number)
}

func (id nodeID) slot() Slot {
	return Slot{Index: uint32(id>>16) & (MaxSlots - 1), Generation: uint32(id >> 32)}
}

func (id nodeID) number() int {
	return int(id & 0xffff)
}

// ino is the inode number that stat shows. It leaves the generation out: an
// index has one user at a time, and a 32-bit program's stat fails with EOVERFLOW
// on numbers that don't fit in 32 bits.
func (id nodeID) ino() uint64 {
	return uint64(uint32(id))
}
