package emul

import (
	"bytes"
	"fmt"
	"strconv"

	"cloister/cgroupview"
)

// hostInterrupts is what of the host's /proc/interrupts a container sees.
type hostInterrupts struct {
	indent string // of the line with the CPUs
	rows   []interruptRow
}

// interruptRow is a row without its figures.
type interruptRow struct {
	label string // "NMI:          0", with the first figure
	end   string // "   Non-maskable interrupts\n"
	total bool   // the first figure is the only one
}

// parseInterrupts parses the host's /proc/interrupts, kernel/irq/proc.c. Of its rows
// it keeps those with a name, which are the architecture's (arch_show_interrupts); one
// with a number is of a device of the host's.
func parseInterrupts(b []byte) (*hostInterrupts, error) {
	header, rest, _ := bytes.Cut(b, []byte{'\n'})
	names := bytes.TrimLeft(header, " ")
	if !bytes.HasPrefix(names, []byte("CPU")) {
		return nil, fmt.Errorf("CPUs %.60q: %w", header, cgroupview.ErrFormat)
	}
	h := &hostInterrupts{indent: string(bytes.TrimSuffix(header, names))}
	cpus := len(bytes.Fields(header))
	for line := range bytes.Lines(rest) {
		name, figures, _ := bytes.Cut(line, []byte{':'})
		if _, err := strconv.Atoi(string(bytes.TrimSpace(name))); err == nil {
			continue
		}
		row, ok := parseInterruptRow(figures, cpus)
		if !ok {
			return nil, fmt.Errorf("line %.60q: %w", line, cgroupview.ErrFormat)
		}
		row.label = string(name) + ":" + row.label
		h.rows = append(h.rows, row)
	}
	return h, nil
}

// parseInterruptRow parses what follows the name of a row: as many figures as there
// are CPUs and a description, or one figure alone. The first one is as far from the
// name as on the host, the others are ten wide everywhere.
func parseInterruptRow(b []byte, cpus int) (row interruptRow, ok bool) {
	n, rest := 0, b
	for ; n < cpus; n++ {
		after := bytes.TrimLeft(bytes.TrimLeft(rest, " "), "0123456789")
		width := len(rest) - len(after)
		if width == 0 || !isDigit(rest[width-1]) {
			break
		}
		if n == 0 {
			row.label = spaces[:min(width, len(spaces))-1] + "0"
		}
		rest = after
	}
	row.end = string(bytes.TrimSuffix(rest, []byte{'\n'})) + "\n"
	row.total = n == 1 && row.end == "\n"
	return row, n == cpus || row.total
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// renderInterrupts renders /proc/interrupts. The kernel does not count interrupts per
// cgroup.
func renderInterrupts(dst []byte, v *view, host *hostInterrupts, _ input) []byte {
	dst = append(dst, host.indent...)
	dst = appendCPUColumns(dst, v.cpus.visible)
	for i := range host.rows {
		r := &host.rows[i]
		dst = append(dst, r.label...)
		if !r.total {
			dst = appendZeroColumns(dst, v.cpus.visible-1)
		}
		dst = append(dst, r.end...)
	}
	return dst
}

// appendCPUColumns appends "CPU0       CPU1       " and so on, and a newline.
func appendCPUColumns(dst []byte, cpus int) []byte {
	for cpu := range cpus {
		dst = append(dst, "CPU"...)
		begin := len(dst)
		dst = strconv.AppendInt(dst, int64(cpu), 10)
		dst = append(dst, spaces[:max(0, 8-(len(dst)-begin))]...)
	}
	return append(dst, '\n')
}

// appendZeroColumns appends a column with 0 for each CPU.
func appendZeroColumns(dst []byte, cpus int) []byte {
	for range cpus {
		dst = append(dst, "          0"...)
	}
	return dst
}
