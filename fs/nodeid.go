package fs

// nodeID is what the kernel calls a file by:
//
//	63         40 39        24 23       11 10         0
//	+------------+------------+-----------+------------+
//	| generation |   index    |  member   |   number   |
//	+------------+------------+-----------+------------+
//
// Generation (its lower bits) and index are the slot's, number is the file's place
// in the tree that all slots share, and member tells the directories of a series
// apart. The layout is injective, so ids never collide, and it depends on nothing
// that a restart could lose.
//
// Numbers begin at 2 because id 0 is no node and id 1 is the root. They end at
// 2046, which keeps the last 32-bit value free as well: it means "unknown
// inode" in directory listings.
type nodeID uint64

const (
	numberBits     = 11
	memberBits     = 13 // Linux has at most 8192 CPUs
	indexBits      = 16
	generationBits = 24

	rootID      nodeID = 1 // FUSE_ROOT_ID
	firstNumber        = 2
	lastNumber         = 1<<numberBits - 2
	lastMember         = 1<<memberBits - 1
)

// Preconditions: s.Index < MaxSlots, firstNumber <= number <= lastNumber and
// 0 <= member <= lastMember.
func newNodeID(s Slot, number, member int) nodeID {
	id := nodeID(s.generation())<<indexBits | nodeID(s.Index)
	return (id<<memberBits|nodeID(member))<<numberBits | nodeID(number)
}

// generation returns the part of a slot's generation that is in its node ids. An
// index would have to be taken millions of times before one that is still known
// to the kernel came again.
func (s Slot) generation() uint32 { return s.Generation & (1<<generationBits - 1) }

func (id nodeID) generation() uint32 { return uint32(id >> (numberBits + memberBits + indexBits)) }

func (id nodeID) index() uint32 { return uint32(id>>(numberBits+memberBits)) & (1<<indexBits - 1) }

func (id nodeID) member() int { return int(id>>numberBits) & lastMember }

// slot returns the same for all nodes of a slot.
func (id nodeID) slot() nodeID { return id >> (numberBits + memberBits) }

func (id nodeID) number() int { return int(id & (1<<numberBits - 1)) }

// ino is the inode number that stat shows. It has no more than 32 bits: a 32-bit
// program's stat fails with EOVERFLOW on others. So only a part of the slot is in
// it, and it is unique within a slot, which is all that a container sees.
func (id nodeID) ino() uint64 {
	return uint64(uint32(id))
}
