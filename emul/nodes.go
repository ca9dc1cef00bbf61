package emul

import (
	"errors"
	"io/fs"
	"os"
	"strconv"

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

// readNodeCPUs returns the CPUs of each node. It reads them only if CPUs or nodes have
// come or gone since the last sample.
func (h *Host) readNodeCPUs(s *hostSample) (map[int]cgroupview.CPUSet, error) {
	if last := h.sample.current.Load(); last != nil && last.value.online.Equal(s.online) && last.value.nodes.Equal(s.nodes) {
		return last.value.nodeCPUs, nil
	}
	all := map[int]cgroupview.CPUSet{}
	for node := range s.nodes.All() {
		path := h.root.Path(nodeDir, "node"+strconv.Itoa(node), "cpulist")
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) { // the kernel has no nodes, or no longer this one
			continue
		}
		if err != nil {
			return nil, err
		}
		if all[node], err = cgroupview.ParseCPUSet(text); err != nil {
			return nil, inFile(err, path)
		}
	}
	return all, nil
}

// newNodes returns the memory nodes that a container may use.
func newNodes(host cgroupview.CPUSet, u *cgroupview.Usage) cgroupview.CPUSet {
	if u.Mems.Len() == 0 {
		return host
	}
	return u.Mems
}
