package emul

import (
	"bytes"
	"fmt"
	"os"
	"strconv"

	"cloister/cgroupview"
)

// nodeCounter is a line of a node's vmstat.
type nodeCounter struct {
	name  string
	field *nodeField // nil for 0
	unit  uint64     // in KiB
}

var (
	pageKiB = uint64(os.Getpagesize()) >> 10
	// hugeKiB is the size of what a page of the middle level of page tables maps: a
	// page full of entries of 8 bytes, for a page each.
	hugeKiB = pageKiB * uint64(os.Getpagesize()) / 8
)

// nodeCounters are the lines of a node's vmstat that its meminfo has, too.
var nodeCounters = map[string]struct {
	field string
	unit  uint64
}{
	"nr_free_pages":                 {"MemFree", pageKiB},
	"nr_zone_inactive_anon":         {"Inactive(anon)", pageKiB},
	"nr_zone_active_anon":           {"Active(anon)", pageKiB},
	"nr_zone_inactive_file":         {"Inactive(file)", pageKiB},
	"nr_zone_active_file":           {"Active(file)", pageKiB},
	"nr_zone_unevictable":           {"Unevictable", pageKiB},
	"nr_inactive_anon":              {"Inactive(anon)", pageKiB},
	"nr_active_anon":                {"Active(anon)", pageKiB},
	"nr_inactive_file":              {"Inactive(file)", pageKiB},
	"nr_active_file":                {"Active(file)", pageKiB},
	"nr_unevictable":                {"Unevictable", pageKiB},
	"nr_slab_reclaimable":           {"SReclaimable", pageKiB},
	"nr_slab_unreclaimable":         {"SUnreclaim", pageKiB},
	"nr_anon_pages":                 {"AnonPages", pageKiB},
	"nr_mapped":                     {"Mapped", pageKiB},
	"nr_file_pages":                 {"FilePages", pageKiB},
	"nr_dirty":                      {"Dirty", pageKiB},
	"nr_writeback":                  {"Writeback", pageKiB},
	"nr_shmem":                      {"Shmem", pageKiB},
	"nr_shmem_hugepages":            {"ShmemHugePages", hugeKiB},
	"nr_file_hugepages":             {"FileHugePages", hugeKiB},
	"nr_anon_transparent_hugepages": {"AnonHugePages", hugeKiB},
	"nr_kernel_stack":               {"KernelStack", 1},
	"nr_page_table_pages":           {"PageTables", pageKiB},
	"nr_sec_page_table_pages":       {"SecPageTables", pageKiB},
	"nr_swapcached":                 {"SwapCached", pageKiB},
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
		c := nodeCounter{name: string(name), unit: 1}
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
			n = c.field.figure(&v.memory, in.nodes, in.number) / c.unit
		}
		dst = appendUints(append(dst, c.name...), n)
		dst = append(dst, '\n')
	}
	return dst
}
