package emul

import (
	"errors"
	"io/fs"

	"cloister/cgroupview"
)

const nodeDir = "sys/devices/system/node"

// onlyNode is the set of memory nodes of a kernel that is built without NUMA.
var onlyNode = func() cgroupview.CPUSet {
	set, err := cgroupview.ParseCPUSet([]byte("0"))
	if err != nil {
		panic(err) // it is one
	}
	return set
}()

// readNodes returns the host's memory nodes.
func (h *Host) readNodes() (cgroupview.CPUSet, error) {
	nodes, err := readParsed(&h.nodesFile, cgroupview.ParseCPUSet)
	if errors.Is(err, fs.ErrNotExist) {
		return onlyNode, nil
	}
	return nodes, err
}

// newNodes returns the memory nodes that a container may use.
func newNodes(host cgroupview.CPUSet, u *cgroupview.Usage) cgroupview.CPUSet {
	if u.Mems.Len() == 0 {
		return host
	}
	return u.Mems
}
