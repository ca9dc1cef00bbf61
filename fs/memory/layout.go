package memory

import (
	"sync/atomic"
	"unsafe"
)

// The file, sparse, from its beginning:
//
//	     0  header
//	 4 KiB  shape
//	64 KiB  readers' requests    64 of 12 KiB
//	 1 MiB  parked requests  65,536 of 512 bytes
//	64 MiB  handles       1,048,576 of 128 bytes
//	 4 GiB  blocks of 4 KiB   4 GiB of them
//	 8 GiB  blocks of 8 KiB   4 GiB of them
//	        and so on, up to blocks of 16 MiB
const (
	magic   = 0x6d656d6f72790a1a
	version = 2

	shapeAt    = 4 << 10
	requestsAt = 64 << 10
	parkedAt   = 1 << 20
	handlesAt  = 64 << 20
	blocksAt   = 4 << 30

	// classes are the sizes of blocks, each twice the one before.
	classes   = 13
	classSize = 4 << 30 // of all blocks of a class

	fileSize = blocksAt + classes*classSize

	maxHandles = 1 << 20
	maxInit    = 512
	maxShape   = 32 << 10
)

// header stands at the beginning of the file. Create writes magic and version.
type header struct {
	magic   uint64
	version uint32
	// generation is that of the newest handle. One that is lost costs nothing.
	generation atomic.Uint32
	initLength atomic.Uint32 // stored after init
	init       [maxInit]byte
	// shapeLength is stored after the shape.
	shapeLength atomic.Uint32
}

// record is a handle in the file. Its fields are written before the word says that it
// is in use, and are nobody's once the word says that it is not. In between only
// poller, content and note change.
type record struct {
	word       atomic.Uint64
	node       uint64
	unique     uint64
	_          [8]byte
	poller     atomic.Uint64
	content    atomic.Uint64 // a descriptor; means nothing while it is being rendered
	_          [4]byte
	noteLength atomic.Uint32
	note       [MaxNote]byte
	_          [40]byte
}

const (
	recordSize = 128
	// MaxNote is the longest note of a handle.
	MaxNote = 32
)

// The word of a record:
//
//	63         32 31     8 7    2 1     0
//	+------------+--------+------+-------+
//	| generation | flags  |  0   | state |
//	+------------+--------+------+-------+
//
// The generation is never 0.
const (
	generationShift = 32
	flagsShift      = 8
	stateMask       = 3

	stateFree      = 0
	stateRendering = 1
	stateOpen      = 2
)

var (
	_ [recordSize - unsafe.Sizeof(record{})]struct{}
	_ [unsafe.Sizeof(record{}) - recordSize]struct{}
)
