package cgroupview

import (
	"bytes"
	"fmt"
	"math/bits"
	"os"
	"strconv"
)

// NodeMemory is what a cgroup, its children included, has of one memory node's
// memory, in bytes: the fields carry the names of the keys of v2's memory.numa_stat.
// A key that the kernel does not offer is 0. v1 counts by LRU list: Anon, which
// there includes shared memory, File and Unevictable.
type NodeMemory struct {
	Node                                  int
	Anon, File, Shmem                     uint64
	KernelStack, Pagetables               uint64
	SlabReclaimable, SlabUnreclaimable    uint64
	FileMapped, FileDirty, FileWriteback  uint64
	InactiveAnon, ActiveAnon              uint64
	InactiveFile, ActiveFile, Unevictable uint64
	AnonThp                               uint64
}

// maxNode bounds what a file may name; Linux is built for at most 1024 nodes.
const maxNode = 1023

// NUMA appends the memory of the cgroup by node, in the kernel's order, to dst. It
// reports false if the kernel offers no such file, or the cgroup is the root of its
// hierarchy. It is apart from Read because it is dear, and needed only on hosts with
// more than one node. NUMA returns ErrGone if the cgroup has been removed.
func (g *Group) NUMA(dst []NodeMemory) ([]NodeMemory, bool, error) {
	f := g.numa
	if f == nil {
		return dst, false, nil
	}
	buf := g.buffers.take()
	defer g.buffers.give(buf)
	ok, err := f.parse(buf, func(b []byte) (err error) {
		dst, err = parseNUMAStat(b, dst, f.dir.v2)
		return err
	})
	return dst, ok, f.orGone(ok, err)
}

// parseNUMAStat parses memory.numa_stat: on v2 "anon N0=4096 N1=0", in bytes; on v1
// "anon=2 N0=1 N1=1", in pages, and hierarchical_ keys with the children.
func parseNUMAStat(b []byte, dst []NodeMemory, v2 bool) ([]NodeMemory, error) {
	start, unit := len(dst), uint64(1)
	if !v2 {
		unit = uint64(os.Getpagesize())
	}
	for len(b) > 0 {
		var line []byte
		line, b = cutLine(b)
		key, values := cutField(line)
		if !v2 {
			key = numaKeyV1(key)
		}
		var err error
		if dst, err = addNUMALine(dst, start, key, values, unit); err != nil {
			return dst[:start], fmt.Errorf("line %.60q: %w", line, err)
		}
	}
	return dst, nil
}

// numaKeyV1 returns the v2 key that a "KEY=TOTAL" of v1 is about; none for what
// leaves the children out.
func numaKeyV1(field []byte) []byte {
	key, _, _ := bytes.Cut(field, []byte{'='})
	name, ok := bytes.CutPrefix(key, []byte("hierarchical_"))
	if !ok {
		return nil
	}
	return name
}

// addNUMALine adds the "N0=VALUE N1=VALUE" of one key to the nodes from start on.
func addNUMALine(dst []NodeMemory, start int, key, values []byte, unit uint64) ([]NodeMemory, error) {
	if new(NodeMemory).field(key) == nil {
		return dst, nil
	}
	for len(values) > 0 {
		var pair []byte
		pair, values = cutField(values)
		node, value, err := parseNodeValue(pair)
		if err != nil {
			return dst, err
		}
		hi, size := bits.Mul64(value, unit)
		if hi != 0 {
			return dst, fmt.Errorf("%d pages: %w", value, ErrFormat)
		}
		i := start
		for i < len(dst) && dst[i].Node != node {
			i++
		}
		if i == len(dst) {
			dst = append(dst, NodeMemory{Node: node})
		}
		*dst[i].field(key) = size
	}
	return dst, nil
}

// parseNodeValue parses "N0=VALUE".
func parseNodeValue(pair []byte) (node int, value uint64, err error) {
	name, text, _ := bytes.Cut(pair, []byte{'='})
	number, ok := bytes.CutPrefix(name, []byte{'N'})
	n, err := strconv.ParseUint(string(number), 10, 32)
	if !ok || err != nil || n > maxNode {
		return 0, 0, fmt.Errorf("node %.20q: %w", name, ErrFormat)
	}
	value, err = parseUint(text)
	return int(n), value, err
}

func (n *NodeMemory) field(key []byte) *uint64 {
	switch string(key) {
	case "anon":
		return &n.Anon
	case "file":
		return &n.File
	case "shmem":
		return &n.Shmem
	case "kernel_stack":
		return &n.KernelStack
	case "pagetables":
		return &n.Pagetables
	case "slab_reclaimable":
		return &n.SlabReclaimable
	case "slab_unreclaimable":
		return &n.SlabUnreclaimable
	case "file_mapped":
		return &n.FileMapped
	case "file_dirty":
		return &n.FileDirty
	case "file_writeback":
		return &n.FileWriteback
	case "inactive_anon":
		return &n.InactiveAnon
	case "active_anon":
		return &n.ActiveAnon
	case "inactive_file":
		return &n.InactiveFile
	case "active_file":
		return &n.ActiveFile
	case "unevictable":
		return &n.Unevictable
	case "anon_thp":
		return &n.AnonThp
	}
	return nil
}
