package emul

import (
	"fmt"
	"os"
	"slices"
	"time"

	"cloister/cgroupview"
)

// nodeMemory tells how the memory of a container lies on its nodes. It is read only
// for the files that are about it, at most once for each sample.
//
// The kernel counts by node only a part of what a cgroup uses, and at another moment
// than the whole. So what it counts is taken as weights, by which the figures of
// meminfo are divided between the nodes: their sums are meminfo's, to the kilobyte.
type nodeMemory struct {
	sample uint64 // that it belongs to
	shares []nodeShare
	usage  []cgroupview.NodeMemory // as read
}

// nodeShare is one node's part.
type nodeShare struct {
	number int
	host   *hostNode
	used   cgroupview.NodeMemory
	// free <= total, in KiB.
	total, free uint64
}

// nodeMeminfo is the file that the host's figures of a node are in.
var nodeMeminfo = slices.IndexFunc(files, func(f File) bool { return f.Path == nodeDir+"/node*/meminfo" })

// locateMemory brings c.nodes up to the current sample. Preconditions: c.sampling is
// held.
func (c *Container) locateMemory(now time.Duration) error {
	n, v := &c.nodes, &c.view
	if n.sample == v.sample {
		return nil
	}
	if c.closed {
		return os.ErrClosed
	}
	n.sample, n.shares, n.usage = 0, n.shares[:0], n.usage[:0]
	for number := range v.nodes.All() {
		host, err := c.host.origins.get(FileID(nodeMeminfo), number, now)
		if err != nil {
			return err
		}
		n.shares = append(n.shares, nodeShare{number: number, host: host.(*hostNode)})
	}
	if len(n.shares) > 1 { // what is on the only one needs no reading
		var err error
		if n.usage, _, err = c.group.NUMA(n.usage); err != nil {
			return fmt.Errorf("read memory by node: %w", err)
		}
	}
	n.divide(&v.memory)
	n.sample = v.sample
	return nil
}

// divide divides the memory and what of it is free. Where it can be, a node has no
// more free than the container leaves of its part, and than the host has there.
func (n *nodeMemory) divide(m *memory) {
	for _, u := range n.usage {
		if i := n.index(u.Node); i >= 0 {
			n.shares[i].used = u
		}
	}
	for i := range n.shares {
		n.shares[i].total = n.part(i, m.total>>10, nodeTotal)
	}
	left := m.free >> 10
	for i := range n.shares {
		s := &n.shares[i]
		s.free = min(n.part(i, m.free>>10, nodeRoom), s.total)
		left -= s.free
	}
	for i := range n.shares {
		s := &n.shares[i]
		more := min(left, s.total-s.free)
		s.free += more
		left -= more
	}
}

// index returns the place of a node's share, -1 if it is none of the container's.
func (n *nodeMemory) index(number int) int {
	for i := range n.shares {
		if n.shares[i].number == number {
			return i
		}
	}
	return -1
}

// nodeWeight says by what a figure is divided between the nodes.
type nodeWeight func(*nodeShare) uint64

func nodeTotal(s *nodeShare) uint64 { return s.host.total }

// nodeUsage is all that is counted by node.
func nodeUsage(s *nodeShare) uint64 {
	u := &s.used
	return u.Anon + u.File + u.KernelStack + u.Pagetables + u.SlabReclaimable + u.SlabUnreclaimable
}

func nodeRoom(s *nodeShare) uint64 { return min(sub(s.total, nodeUsage(s)>>10), s.host.free>>10) }

// part returns what the node at index i has of a figure. Where nothing is known about
// it in particular, it is divided as the usage is, or as the memory is.
func (n *nodeMemory) part(i int, figure uint64, weight nodeWeight) uint64 {
	if figure == 0 {
		return 0
	}
	for _, weight := range [...]nodeWeight{weight, nodeUsage, nodeTotal} {
		before, own, all := n.weigh(i, weight)
		if all > 0 {
			return mulDiv(figure, before+own, all) - mulDiv(figure, before, all)
		}
	}
	if i > 0 {
		return 0
	}
	return figure
}

// maxWeight is more than a machine has, and 1024 nodes of it are no overflow.
const maxWeight = 1 << 53

// weigh returns the weights of the nodes before index i, of that one, and of all.
func (n *nodeMemory) weigh(i int, weight nodeWeight) (before, own, all uint64) {
	for j := range n.shares {
		w := min(weight(&n.shares[j]), maxWeight)
		switch {
		case j < i:
			before += w
		case j == i:
			own = w
		}
		all += w
	}
	return before, own, all
}
