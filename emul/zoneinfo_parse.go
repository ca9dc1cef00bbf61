package emul

import (
	"bytes"
	"fmt"
	"strconv"

	"cloister/cgroupview"
)

// parseZoneinfo parses the host's /proc/zoneinfo, zoneinfo_show_print in mm/vmstat.c:
// the zones of each node, of which the first with memory has the node's statistics.
// All that have memory have the same lines.
func parseZoneinfo(b []byte) (*hostZoneinfo, error) {
	h := &hostZoneinfo{first: -1}
	for len(b) > 0 {
		var section []byte
		section, b = cutZone(b)
		zone, lines, err := parseZone(section)
		if err != nil {
			return nil, err
		}
		h.add(zone)
		if h.populated == nil && bytes.HasPrefix(lines, []byte("  per-node stats\n")) {
			h.cut(lines)
		}
	}
	if h.first < 0 || h.populated == nil || h.pageset.after == "" {
		return nil, fmt.Errorf("no memory: %w", cgroupview.ErrFormat)
	}
	return h, nil
}

// cutZone splits b before its second zone.
func cutZone(b []byte) (zone, rest []byte) {
	i := bytes.Index(b, []byte("\nNode "))
	if i < 0 {
		return b, nil
	}
	return b[:i+1], b[i+1:]
}

func parseZone(section []byte) (zone hostZone, lines []byte, err error) {
	header, lines, _ := bytes.Cut(section, []byte{'\n'})
	number, name, ok := bytes.Cut(bytes.TrimPrefix(header, []byte("Node ")), []byte(", zone "))
	if zone.node, err = strconv.Atoi(string(number)); err != nil || !ok || zone.node < 0 {
		return zone, nil, fmt.Errorf("zone %.60q: %w", header, cgroupview.ErrFormat)
	}
	zone.header = fmt.Sprintf("Node %d, zone %s\n", zone.node, name)
	for line := range bytes.Lines(lines) {
		value, ok := bytes.CutPrefix(bytes.TrimLeft(line, " "), []byte("managed "))
		if !ok {
			continue
		}
		if zone.managed, err = strconv.ParseUint(string(bytes.TrimSpace(value)), 10, 48); err != nil {
			return zone, nil, fmt.Errorf("line %.60q: %w", line, cgroupview.ErrFormat)
		}
	}
	return zone, lines, nil
}

// add appends a zone, which takes the memory of the lower ones of its node.
func (h *hostZoneinfo) add(zone hostZone) {
	for i := range h.zones {
		if lower := &h.zones[i]; lower.node == zone.node && zone.managed > 0 {
			zone.managed += lower.managed
			lower.managed = 0
		}
	}
	if h.first < 0 && zone.managed > 0 {
		h.first = zone.node
	}
	h.zones = append(h.zones, zone)
}

// cut makes the pieces from the lines of a zone with memory.
func (h *hostZoneinfo) cut(lines []byte) {
	var zone, cpu, end []byte
	const cpuLine = "    cpu: "
	cpus := 0
	for line := range bytes.Lines(lines) {
		ofCPU := bytes.HasPrefix(line, []byte("              ")) || bytes.HasPrefix(line, []byte("  vm stats threshold:"))
		switch {
		case bytes.HasPrefix(line, []byte(cpuLine)):
			cpus++
		case cpus == 0:
			zone = append(zone, line...)
		case !ofCPU:
			end = append(end, line...)
		case cpus == 1:
			cpu = append(cpu, line...)
		}
	}
	h.populated = zoneLines(zone)
	h.unpopulated = unpopulatedZone(zone)
	h.end = string(zeroed(end))
	if cpus > 0 {
		h.pageset = zonePageset{before: cpuLine, after: "\n" + string(zeroed(cpu))}
	}
}

func zoneLines(lines []byte) []zoneLine {
	var all []zoneLine
	var text []byte
	for line := range bytes.Lines(lines) {
		label := bytes.TrimRight(line, "0123456789\n")
		value, ok := zoneValues[string(bytes.TrimSpace(label))]
		if !ok {
			text = append(text, zeroed(line)...)
			continue
		}
		all = append(all, zoneLine{text: string(text) + string(label), value: value})
		text = append(text[:0], '\n')
	}
	return append(all, zoneLine{text: string(text)})
}

// unpopulatedZone returns what the kernel tells of a zone without memory: its sizes.
func unpopulatedZone(lines []byte) string {
	begin := max(0, bytes.Index(lines, []byte("  pages free ")))
	end := bytes.IndexByte(lines[begin:], ')') + 2 // of "protection: (0, 0)\n"
	return string(zeroed(lines[begin:min(begin+end, len(lines))]))
}

// zeroed puts 0 in the place of every figure. Digits in a name are none.
func zeroed(text []byte) []byte {
	var out []byte
	figure := false
	for i, c := range text {
		switch {
		case c < '0' || c > '9':
			figure = false
			out = append(out, c)
		case i > 0 && (text[i-1] == ' ' || text[i-1] == '('):
			figure = true
			out = append(out, '0')
		case !figure:
			out = append(out, c)
		}
	}
	return out
}
