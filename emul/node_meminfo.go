package emul

import (
	"bytes"
	"fmt"
	"strconv"

	"cloister/cgroupview"
)

// hostNode is the host's meminfo of a memory node.
type hostNode struct {
	total, free uint64 // bytes
	lines       []nodeLine
}

// nodeLine is a line that a container sees.
type nodeLine struct {
	*nodeField
	// label is " MemTotal:       ", as wide as in the kernel at hand: not all of its
	// lines have been the same.
	label string
	pool  bool // it counts huge pages, and has no unit
}

// nodeField is what a container sees on the lines of one name.
type nodeField struct {
	value  func(*memory) uint64 // nil where the weight is the figure itself
	weight nodeWeight
}

// nodeFields are the lines of a node's meminfo. They are meminfo's of the same name,
// divided by the weight. A line that is not listed is left out.
var nodeFields = nodeFieldsOf(map[string]nodeWeight{
	"MemTotal":        func(s *nodeShare) uint64 { return s.total },
	"MemFree":         func(s *nodeShare) uint64 { return s.free },
	"MemUsed":         func(s *nodeShare) uint64 { return s.total - s.free },
	"SwapCached":      nodeUsage,
	"Active":          func(s *nodeShare) uint64 { return s.used.ActiveAnon + s.used.ActiveFile },
	"Inactive":        func(s *nodeShare) uint64 { return s.used.InactiveAnon + s.used.InactiveFile },
	"Active(anon)":    func(s *nodeShare) uint64 { return s.used.ActiveAnon },
	"Inactive(anon)":  func(s *nodeShare) uint64 { return s.used.InactiveAnon },
	"Active(file)":    func(s *nodeShare) uint64 { return s.used.ActiveFile },
	"Inactive(file)":  func(s *nodeShare) uint64 { return s.used.InactiveFile },
	"Unevictable":     func(s *nodeShare) uint64 { return s.used.Unevictable },
	"Mlocked":         nodeUsage,
	"Dirty":           func(s *nodeShare) uint64 { return s.used.FileDirty },
	"Writeback":       func(s *nodeShare) uint64 { return s.used.FileWriteback },
	"FilePages":       func(s *nodeShare) uint64 { return s.used.File },
	"Mapped":          func(s *nodeShare) uint64 { return s.used.FileMapped },
	"AnonPages":       func(s *nodeShare) uint64 { return s.used.Anon },
	"Shmem":           func(s *nodeShare) uint64 { return s.used.Shmem },
	"KernelStack":     func(s *nodeShare) uint64 { return s.used.KernelStack },
	"ShadowCallStack": nodeUsage,
	"PageTables":      func(s *nodeShare) uint64 { return s.used.Pagetables },
	"SecPageTables":   func(s *nodeShare) uint64 { return s.used.Pagetables },
	"NFS_Unstable":    nodeUsage,
	"Bounce":          nodeUsage,
	"WritebackTmp":    nodeUsage,
	"KReclaimable":    func(s *nodeShare) uint64 { return s.used.SlabReclaimable },
	"Slab":            func(s *nodeShare) uint64 { return s.used.SlabReclaimable + s.used.SlabUnreclaimable },
	"SReclaimable":    func(s *nodeShare) uint64 { return s.used.SlabReclaimable },
	"SUnreclaim":      func(s *nodeShare) uint64 { return s.used.SlabUnreclaimable },
	"AnonHugePages":   func(s *nodeShare) uint64 { return s.used.AnonThp },
	"ShmemHugePages":  func(s *nodeShare) uint64 { return s.used.Shmem },
	"ShmemPmdMapped":  nodeUsage,
	"FileHugePages":   func(s *nodeShare) uint64 { return s.used.File },
	"FilePmdMapped":   nodeUsage,
	"Unaccepted":      nodeUsage,
	"Balloon":         nodeUsage,
	"HugePages_Total": nodeUsage,
	"HugePages_Free":  nodeUsage,
	"HugePages_Surp":  nodeUsage,
})

func nodeFieldsOf(weights map[string]nodeWeight) map[string]*nodeField {
	fields := make(map[string]*nodeField, len(weights))
	for name, weight := range weights {
		f := &nodeField{weight: weight}
		switch name {
		case "MemTotal", "MemFree", "MemUsed":
		case "FilePages":
			f.value = meminfoFields["Cached"].value
		default:
			f.value = meminfoFields[name].value
		}
		fields[name] = f
	}
	return fields
}

// figure returns, in KiB, what a node has on the line.
func (f *nodeField) figure(m *memory, n *nodeMemory, number int) uint64 {
	i := n.index(number)
	switch {
	case i < 0:
		return 0
	case f.value == nil:
		return f.weight(&n.shares[i])
	}
	return n.part(i, f.value(m)>>10, f.weight)
}

// emptyPool is how a line on huge pages ends.
const emptyPool = "    0\n"

// parseNodeMeminfo parses the host's meminfo of a memory node, drivers/base/node.c:
// "Node 0 NAME: VALUE kB", without a unit where huge pages are counted.
func parseNodeMeminfo(b []byte) (*hostNode, error) {
	h := &hostNode{lines: make([]nodeLine, 0, len(nodeFields))}
	for line := range bytes.Lines(b) {
		node, rest, ok := bytes.Cut(line, []byte(":"))
		fields, value := bytes.Fields(node), bytes.Fields(rest)
		if !ok || len(fields) != 3 || string(fields[0]) != "Node" || len(value) == 0 {
			return nil, fmt.Errorf("line %.60q: %w", line, cgroupview.ErrFormat)
		}
		v, err := strconv.ParseUint(string(value[0]), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("line %.60q: %w", line, cgroupview.ErrFormat)
		}
		name := string(fields[2])
		switch name {
		case "MemTotal":
			h.total = v << 10
		case "MemFree":
			h.free = v << 10
		}
		if f := nodeFields[name]; f != nil {
			end := bytes.Index(rest, value[0]) + len(value[0])
			h.lines = append(h.lines, newNodeLine(f, name+":", end, len(value) == 1))
		}
	}
	return h, nil
}

// newNodeLine returns a line whose value ends so many columns after its name.
func newNodeLine(f *nodeField, name string, end int, pool bool) nodeLine {
	figure := 8 // columns, as appendRight8 has it
	if pool {
		figure = len(emptyPool) - 1
	}
	label := appendPadded([]byte{' '}, name, min(len(name)+end-figure, len(spaces)))
	return nodeLine{f, string(label), pool}
}

// renderNodeMeminfo renders a node's meminfo with the lines of the running kernel.
func renderNodeMeminfo(dst []byte, v *view, host *hostNode, in input) []byte {
	for i := range host.lines {
		l := &host.lines[i]
		dst = strconv.AppendInt(append(dst, "Node "...), int64(in.number), 10)
		dst = append(dst, l.label...)
		if l.pool { // of huge pages: it is the host's
			dst = append(dst, emptyPool...)
			continue
		}
		dst = appendRight8(dst, l.figure(&v.memory, in.nodes, in.number))
		dst = append(dst, " kB\n"...)
	}
	return dst
}
