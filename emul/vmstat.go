package emul

import (
	"bytes"
	"fmt"
	"os"
	"strconv"

	"cloister/cgroupview"
)

// The units of /proc/vmstat, in bytes.
var (
	pageSize = uint64(os.Getpagesize())
	// hugePage is what an entry of a page middle directory maps: as many pages as a
	// page has room for entries.
	hugePage = pageSize * (pageSize / 8)
)

// vmstatLine is a line of the running kernel's /proc/vmstat.
type vmstatLine struct {
	name  string // "nr_free_pages "
	value vmstatValue
}

// vmstatValue is what a container sees on a line; 0 if it has neither.
type vmstatValue struct {
	gauge   func(*memory) uint64
	counter *vmCounter
}

func (f vmstatValue) of(v *view) uint64 {
	switch {
	case f.gauge != nil:
		return f.gauge(&v.memory)
	case f.counter != nil:
		return v.vm.total(f.counter)
	}
	return 0
}

// vmstatValues tells what a container sees on the lines that are not 0: the figures of
// meminfo, in pages but for the few that the kernel counts otherwise, and what has
// happened to the container's memory.
var vmstatValues = func() map[string]vmstatValue {
	values := map[string]vmstatValue{}
	for name, gauge := range vmstatGauges {
		values[name] = vmstatValue{gauge: gauge}
	}
	for i := range vmCounters {
		values[vmCounters[i].name] = vmstatValue{counter: &vmCounters[i]}
	}
	return values
}()

var vmstatGauges = map[string]func(*memory) uint64{
	"nr_free_pages":                 inPages(func(m *memory) uint64 { return m.free }),
	"nr_zone_inactive_anon":         inPages(func(m *memory) uint64 { return m.stat.InactiveAnon }),
	"nr_zone_active_anon":           inPages(func(m *memory) uint64 { return m.stat.ActiveAnon }),
	"nr_zone_inactive_file":         inPages(func(m *memory) uint64 { return m.stat.InactiveFile }),
	"nr_zone_active_file":           inPages(func(m *memory) uint64 { return m.stat.ActiveFile }),
	"nr_zone_unevictable":           inPages(func(m *memory) uint64 { return m.stat.Unevictable }),
	"nr_zone_write_pending":         inPages(func(m *memory) uint64 { return m.stat.FileDirty + m.stat.FileWriteback }),
	"nr_inactive_anon":              inPages(func(m *memory) uint64 { return m.stat.InactiveAnon }),
	"nr_active_anon":                inPages(func(m *memory) uint64 { return m.stat.ActiveAnon }),
	"nr_inactive_file":              inPages(func(m *memory) uint64 { return m.stat.InactiveFile }),
	"nr_active_file":                inPages(func(m *memory) uint64 { return m.stat.ActiveFile }),
	"nr_unevictable":                inPages(func(m *memory) uint64 { return m.stat.Unevictable }),
	"nr_slab_reclaimable":           inPages(func(m *memory) uint64 { return m.stat.SlabReclaimable }),
	"nr_slab_unreclaimable":         inPages(func(m *memory) uint64 { return m.stat.SlabUnreclaimable }),
	"nr_anon_pages":                 inPages(func(m *memory) uint64 { return m.stat.Anon }),
	"nr_mapped":                     inPages(func(m *memory) uint64 { return m.stat.FileMapped }),
	"nr_file_pages":                 inPages(func(m *memory) uint64 { return m.stat.File + m.stat.Swapcached }),
	"nr_dirty":                      inPages(func(m *memory) uint64 { return m.stat.FileDirty }),
	"nr_writeback":                  inPages(func(m *memory) uint64 { return m.stat.FileWriteback }),
	"nr_shmem":                      inPages(func(m *memory) uint64 { return m.stat.Shmem }),
	"nr_shmem_hugepages":            func(m *memory) uint64 { return m.stat.ShmemThp / hugePage },
	"nr_file_hugepages":             func(m *memory) uint64 { return m.stat.FileThp / hugePage },
	"nr_anon_transparent_hugepages": func(m *memory) uint64 { return m.stat.AnonThp / hugePage },
	"nr_kernel_stack":               func(m *memory) uint64 { return m.stat.KernelStack >> 10 },
	"nr_page_table_pages":           inPages(func(m *memory) uint64 { return m.stat.Pagetables }),
	"nr_sec_page_table_pages":       inPages(func(m *memory) uint64 { return m.stat.SecPagetables }),
	"nr_swapcached":                 inPages(func(m *memory) uint64 { return m.stat.Swapcached }),
}

func inPages(bytes func(*memory) uint64) func(*memory) uint64 {
	return func(m *memory) uint64 { return bytes(m) / pageSize }
}

// parseVmstat parses the host's /proc/vmstat, mm/vmstat.c: "NAME VALUE" on each line.
// Which lines there are follows from the kernel and its configuration.
func parseVmstat(b []byte) ([]vmstatLine, error) {
	var lines []vmstatLine
	for line := range bytes.Lines(b) {
		name, value := cutField(line)
		if _, err := strconv.ParseUint(string(bytes.TrimSpace(value)), 10, 64); err != nil || len(name) == 0 {
			return nil, fmt.Errorf("line %.60q: %w", line, cgroupview.ErrFormat)
		}
		lines = append(lines, vmstatLine{name: string(name) + " ", value: vmstatValues[string(name)]})
	}
	if len(lines) == 0 {
		return nil, fmt.Errorf("no lines: %w", cgroupview.ErrFormat)
	}
	return lines, nil
}

// renderVmstat renders /proc/vmstat with the lines of the running kernel.
func renderVmstat(dst []byte, v *view, lines []vmstatLine, _ input) []byte {
	for i := range lines {
		dst = append(dst, lines[i].name...)
		dst = strconv.AppendUint(dst, lines[i].value.of(v), 10)
		dst = append(dst, '\n')
	}
	return dst
}
