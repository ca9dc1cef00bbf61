package cgrouptest

import (
	"fmt"
	"os"
	"strings"

	"cloister/cgroupview"
)

func (c *Cgroup) writeNUMA(nodes []cgroupview.NodeMemory) {
	c.host.tb.Helper()
	if nodes == nil {
		return
	}
	text := numaStatV2(nodes)
	if c.host.Mode != cgroupview.Unified {
		text = numaStatV1(nodes)
	}
	c.write("memory", "memory.numa_stat", "%s", text)
}

type numaKey struct {
	name  string
	value func(*cgroupview.NodeMemory) uint64
}

// numaKeysV1 are the keys that both versions have.
var numaKeysV1 = []numaKey{
	{"file", func(n *cgroupview.NodeMemory) uint64 { return n.File }},
	{"anon", func(n *cgroupview.NodeMemory) uint64 { return n.Anon }},
	{"unevictable", func(n *cgroupview.NodeMemory) uint64 { return n.Unevictable }},
}

var numaKeysV2 = append(numaKeysV1[:len(numaKeysV1):len(numaKeysV1)], []numaKey{
	{"kernel_stack", func(n *cgroupview.NodeMemory) uint64 { return n.KernelStack }},
	{"pagetables", func(n *cgroupview.NodeMemory) uint64 { return n.Pagetables }},
	{"sec_pagetables", func(*cgroupview.NodeMemory) uint64 { return 777 }},
	{"shmem", func(n *cgroupview.NodeMemory) uint64 { return n.Shmem }},
	{"file_mapped", func(n *cgroupview.NodeMemory) uint64 { return n.FileMapped }},
	{"file_dirty", func(n *cgroupview.NodeMemory) uint64 { return n.FileDirty }},
	{"file_writeback", func(n *cgroupview.NodeMemory) uint64 { return n.FileWriteback }},
	{"anon_thp", func(n *cgroupview.NodeMemory) uint64 { return n.AnonThp }},
	{"inactive_anon", func(n *cgroupview.NodeMemory) uint64 { return n.InactiveAnon }},
	{"active_anon", func(n *cgroupview.NodeMemory) uint64 { return n.ActiveAnon }},
	{"inactive_file", func(n *cgroupview.NodeMemory) uint64 { return n.InactiveFile }},
	{"active_file", func(n *cgroupview.NodeMemory) uint64 { return n.ActiveFile }},
	{"slab_reclaimable", func(n *cgroupview.NodeMemory) uint64 { return n.SlabReclaimable }},
	{"slab_unreclaimable", func(n *cgroupview.NodeMemory) uint64 { return n.SlabUnreclaimable }},
}...)

func numaStatV2(nodes []cgroupview.NodeMemory) string {
	var b strings.Builder
	for _, key := range numaKeysV2 {
		b.WriteString(key.name)
		for i := range nodes {
			fmt.Fprintf(&b, " N%d=%d", nodes[i].Node, key.value(&nodes[i]))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// numaStatV1 counts in pages. The cgroup without its children has one page of
// everything.
func numaStatV1(nodes []cgroupview.NodeMemory) string {
	var b strings.Builder
	pages := func(name string, value func(*cgroupview.NodeMemory) uint64) {
		var sum uint64
		var byNode strings.Builder
		for i := range nodes {
			n := value(&nodes[i])
			sum += n
			fmt.Fprintf(&byNode, " N%d=%d", nodes[i].Node, n)
		}
		fmt.Fprintf(&b, "%s=%d%s\n", name, sum, &byNode)
	}
	total := numaKey{"total", func(n *cgroupview.NodeMemory) uint64 { return n.File + n.Anon + n.Unevictable }}
	keys := append([]numaKey{total}, numaKeysV1...)
	for _, key := range keys {
		pages(key.name, func(*cgroupview.NodeMemory) uint64 { return 1 })
	}
	for _, key := range keys {
		pages("hierarchical_"+key.name, func(n *cgroupview.NodeMemory) uint64 {
			return key.value(n) / uint64(os.Getpagesize())
		})
	}
	return b.String()
}
