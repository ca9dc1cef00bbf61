package emul

import (
	"bytes"
	"fmt"
	"strconv"

	"cloister/cgroupview"
)

// nodeFiles are those of /sys/devices/system/node, drivers/base/node.c, for the memory
// nodes that the container may use. Not among them are blocks of memory (memory0 and
// so on), and the pools of huge pages, which are the host's.
var nodeFiles = []File{
	{Path: nodeDir + "/possible", Mode: 0o444, Stable: true, render: renderNodes},
	{Path: nodeDir + "/online", Mode: 0o444, Stable: true, render: renderNodes},
	{Path: nodeDir + "/has_cpu", Mode: 0o444, Stable: true, render: renderNodesWithCPU},
	derived(nodeDir+"/has_memory", 0o444, cgroupview.ParseCPUSet, renderNodesOf),
	derived(nodeDir+"/has_normal_memory", 0o444, cgroupview.ParseCPUSet, renderNodesOf),
	derived(nodeDir+"/has_generic_initiator", 0o444, cgroupview.ParseCPUSet, renderNodesOf),
	{Path: nodeDir + "/node*/cpulist", Mode: 0o444, Stable: true, render: renderNodeCPUList},
	{Path: nodeDir + "/node*/cpumap", Mode: 0o444, Stable: true, render: renderNodeCPUMap},
	derived(nodeDir+"/node*/distance", 0o444, parseDistance, renderDistance).stable(),
	derived(nodeDir+"/node*/meminfo", 0o444, parseNodeMeminfo, renderNodeMeminfo).byNode(),
	{Path: nodeDir + "/node*/numastat", Mode: 0o444, Stable: true, render: renderNumastat},
	derived(nodeDir+"/node*/vmstat", 0o444, parseNodeVmstat, renderNodeVmstat).byNode(),
}

// renderNodes renders the list of all nodes.
func renderNodes(dst []byte, v *view, _ input) []byte {
	return append(v.nodes.AppendList(dst), '\n')
}

// renderNodesOf renders those of the host's list.
func renderNodesOf(dst []byte, v *view, host cgroupview.CPUSet, _ input) []byte {
	w := cgroupview.ListWriter{Dst: dst}
	for n := range v.nodes.All() {
		if host.Contains(n) {
			w.Add(n)
		}
	}
	return append(w.Finish(), '\n')
}

// renderNodesWithCPU renders those that have a CPU that the container sees.
func renderNodesWithCPU(dst []byte, v *view, _ input) []byte {
	w := cgroupview.ListWriter{Dst: dst}
	for n := range v.nodes.All() {
		some := false
		v.cpus.among(v.host.nodeCPUs[n], func(int) { some = true })
		if some {
			w.Add(n)
		}
	}
	return append(w.Finish(), '\n')
}

func renderNodeCPUList(dst []byte, v *view, in input) []byte {
	return append(v.cpus.appendList(dst, v.host.nodeCPUs[in.number]), '\n')
}

func renderNodeCPUMap(dst []byte, v *view, in input) []byte {
	return append(v.cpus.appendMap(dst, v.host.nodeCPUs[in.number]), '\n')
}

// parseDistance parses how far it is from one node to each that is online: "10 21".
func parseDistance(b []byte) ([]int, error) {
	var row []int
	for field := range bytes.FieldsSeq(b) {
		d, err := strconv.Atoi(string(field))
		if err != nil || d < 0 {
			return nil, fmt.Errorf("distance %.20q: %w", field, cgroupview.ErrFormat)
		}
		row = append(row, d)
	}
	return row, nil
}

// renderDistance renders the columns of the container's nodes.
func renderDistance(dst []byte, v *view, host []int, _ input) []byte {
	column, some := 0, false
	for n := range v.host.nodes.All() {
		if column == len(host) { // it came online after the host's file was read
			break
		}
		if v.nodes.Contains(n) {
			if some {
				dst = append(dst, ' ')
			}
			dst = strconv.AppendInt(dst, int64(host[column]), 10)
			some = true
		}
		column++
	}
	return append(dst, '\n')
}

// renderNumastat renders how allocations met with the nodes that they were meant for,
// which is not counted per cgroup.
func renderNumastat(dst []byte, _ *view, _ input) []byte {
	return append(dst, "numa_hit 0\nnuma_miss 0\nnuma_foreign 0\ninterleave_hit 0\nlocal_node 0\nother_node 0\n"...)
}
