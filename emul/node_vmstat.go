package emul

import (
	"bytes"
	"fmt"
	"strconv"

	"cloister/cgroupview"
)

// nodeCounter is a line of a node's vmstat.
type nodeCounter struct {
	name  string
	field *nodeField // nil for 0
	unit  uint64     // in bytes
}

// nodeCounters are the lines of a node's vmstat that its meminfo has, too.
var nodeCounters = map[string]struct {
	field string
	unit  uint64
}{
	"nr_free_pages":                 {"MemFree", pageSize},
	"nr_zone_inactive_anon":         {"Inactive(anon)", pageSize},
	"nr_zone_active_anon":           {"Active(anon)", pageSize},
	"nr_zone_inactive_file":         {"Inactive(file)", pageSize},
	"nr_zone_active_file":           {"Active(file)", pageSize},
	"nr_zone_unevictable":           {"Unevictable", pageSize},
	"nr_inactive_anon":              {"Inactive(anon)", pageSize},
	"nr_active_anon":                {"Active(anon)", pageSize},
	"nr_inactive_file":              {"Inactive(file)", pageSize},
	"nr_active_file":                {"Active(file)", pageSize},
	"nr_unevictable":                {"Unevictable", pageSize},
	"nr_slab_reclaimable":           {"SReclaimable", pageSize},
	"nr_slab_unreclaimable":         {"SUnreclaim", pageSize},
	"nr_anon_pages":                 {"AnonPages", pageSize},
	"nr_mapped":                     {"Mapped", pageSize},
	"nr_file_pages":                 {"FilePages", pageSize},
	"nr_dirty":                      {"Dirty", pageSize},
	"nr_writeback":                  {"Writeback", pageSize},
	"nr_shmem":                      {"Shmem", pageSize},
	"nr_shmem_hugepages":            {"ShmemHugePages", hugePage},
	"nr_file_hugepages":             {"FileHugePages", hugePage},
	"nr_anon_transparent_hugepages": {"AnonHugePages", hugePage},
	"nr_kernel_stack":               {"KernelStack", 1 << 10},
	"nr_page_table_pages":           {"PageTables", pageSize},
	"nr_sec_page_table_pages":       {"SecPageTables", pageSize},
	"nr_swapcached":                 {"SwapCached", pageSize},
}

// parseNodeVmstat parses the host's vmstat of a memory node, drivers/base/node.c:
// "NAME VALUE".
func parseNodeVmstat(b []byte) ([]nodeCounter, error) {
	var list []nodeCounter
	for line := range bytes.Lines(b) {
		name, value, _ := bytes.Cut(bytes.TrimSpace(line), []byte(" "))
		if _, err := strconv.ParseUint(string(value), 10, 64); err != nil {
			return nil, fmt.Errorf("line %.60q: %w", line, cgroupview.ErrFormat)
		}
		c := nodeCounter{name: string(name)}
		if known, ok := nodeCounters[c.name]; ok {
			c.field, c.unit = nodeFields[known.field], known.unit
		}
		list = append(list, c)
	}
	return list, nil
}

// renderNodeVmstat renders a node's vmstat: all are counts, so that 0 is right for
// what is not known of a cgroup, whatever a newer kernel adds.
func renderNodeVmstat(dst []byte, v *view, host []nodeCounter, in input) []byte {
	for _, c := range host {
		var n uint64
		if c.field != nil {
			n = c.field.figure(&v.memory, in.nodes, in.number) / (c.unit >> 10)
		}
		dst = appendUints(append(dst, c.name...), n)
		dst = append(dst, '\n')
	}
	return dst
}
