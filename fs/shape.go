package fs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"cloister/fs/memory"
)

// What the kernel was told at the mount holds for as long as that exists: whether it asks
// for opens, and which file a node's number is. A successor that tells otherwise would
// have it show old content for ever, or one file in the place of another.

// How a superblock is served, as far as the kernel has to know. Between Exact and Direct
// a successor may change.
const (
	shapeAsked    = 1
	shapePushed   = 2
	shapeWritable = 3
)

// shape is that of a superblock: how it is served, and four bytes for each node.
func (b *superblock) shape() []byte {
	how := byte(shapeAsked)
	switch {
	case b.writer != nil:
		how = shapeWritable
	case b.pushed():
		how = shapePushed
	}
	shape := []byte{how}
	for i := range b.tree.nodes {
		n := &b.tree.nodes[i]
		name := fmt.Sprintf("%d/%s/%t", n.parent, n.name, n.isDir())
		shape = binary.NativeEndian.AppendUint32(shape, crc32.ChecksumIEEE([]byte(name)))
	}
	return shape
}

var errShape = errors.New("it was mounted for another protocol, or with other files")

// checkShape compares the superblock with what the kernel knows. Files that came later
// are behind the others.
func (d *device) checkShape() error {
	before, now := d.memory.Shape(), d.sb.shape()
	common := min(len(before), len(now))
	if common == 0 || !bytes.Equal(before[:common], now[:common]) {
		return fmt.Errorf("%w: %w", memory.ErrLayout, errShape)
	}
	if len(now) > common {
		return d.memory.SetShape(now)
	}
	return nil
}
