package memory

import "math/bits"

// block is memory for content.
type block struct {
	class, index int
}

const (
	minBlock = 4 << 10
	// MaxContent is the longest content of a handle.
	MaxContent = minBlock << (classes - 1)
	// keptBlock is the largest that stays in memory while it is free.
	keptBlock = 32 << 10
)

func blockSize(class int) int { return minBlock << class }

// classFor returns the smallest blocks that content fits in.
// Precondition: 0 < length <= MaxContent.
func classFor(length int) int { return bits.Len(uint(length-1) / minBlock) }

// blocks are all memory for content.
type blocks [classes]pool

func (b *blocks) init(memory []byte) {
	for class := range b {
		keep := keepBytes
		if blockSize(class) > keptBlock {
			keep = 0
		}
		b[class].init(memory[class*classSize:(class+1)*classSize], blockSize(class), keep)
	}
}

// take returns a block for content of a length. Precondition: 0 < length <= MaxContent.
func (b *blocks) take(length int) (block, bool) {
	class := classFor(length)
	index, ok := b[class].take()
	return block{class, index}, ok
}

func (b *blocks) put(k block) { b[k.class].put(k.index) }

func (b *blocks) at(k block) []byte { return b[k.class].at(k.index) }

// bytes returns the size of all blocks in use.
func (b *blocks) bytes() (sum int64) {
	for class := range b {
		sum += int64(b[class].count()) * int64(blockSize(class))
	}
	return sum
}

// descriptor tells in one word where content is:
//
//	63     53 52      28 27     4 3         0
//	+--------+----------+--------+-----------+
//	|   0    |  length  |  index | class + 1 |
//	+--------+----------+--------+-----------+
//
// It is 0 for empty content, which has no block.
type descriptor uint64

func newDescriptor(k block, length int) descriptor {
	return descriptor(length)<<28 | descriptor(k.index)<<4 | descriptor(k.class+1)
}

// block is meaningless for 0.
func (d descriptor) block() block {
	return block{class: int(d&15) - 1, index: int(d >> 4 & (1<<24 - 1))}
}

func (d descriptor) length() int { return int(d >> 28) }

// valid reports whether it describes what can be.
func (d descriptor) valid() bool {
	if d == 0 {
		return true
	}
	k, length := d.block(), d.length()
	if length <= 0 || length > MaxContent {
		return false
	}
	return k.class == classFor(length) && k.index < classSize/blockSize(k.class)
}
