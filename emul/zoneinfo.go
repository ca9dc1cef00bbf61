package emul

import (
	"bytes"
	"fmt"
	"maps"
	"strconv"
	"time"

	"cloister/cgroupview"
)

// zoneinfoPeriod is how long the host's zones are relied on. They change when memory
// is plugged in, and the file has lines for each CPU in each zone.
const zoneinfoPeriod = time.Second

// hostZoneinfo is the host's /proc/zoneinfo, made out of pieces.
type hostZoneinfo struct {
	zones []hostZone
	// What follows the name of a zone: of one without memory, and of one with memory
	// up to its CPUs, for each CPU, and after them.
	unpopulated string
	populated   []zoneLine
	pageset     zonePageset
	end         string
	// first is the first node with memory.
	first int
}

type hostZone struct {
	node   int
	header string // "Node 0, zone      DMA\n"
	// managed is all memory of the node, in pages, in its highest zone that has any,
	// and 0 in the others.
	managed uint64
}

// zoneLine is text and the figure after it. The last one has no figure.
type zoneLine struct {
	text  string
	value vmstatValue
}

// zonePageset is the lines of a CPU, before and after its number.
type zonePageset struct{ before, after string }

// zoneValues tells what a container sees on the lines that are not 0: what vmstat has
// on a line of the same name, and the sizes of a zone.
var zoneValues = func() map[string]vmstatValue {
	values := maps.Clone(vmstatValues)
	values["pages free"] = values["nr_free_pages"]
	for _, name := range []string{"spanned", "present", "managed"} {
		values[name] = vmstatValue{gauge: inPages(func(m *memory) uint64 { return m.total })}
	}
	return values
}()

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

// renderZoneinfo renders /proc/zoneinfo for the nodes whose memory the container may
// use. The kernel does not count its memory by zone: each node has one with memory,
// the highest that has any on the host. Of what the container has, it shows a part
// that is to the whole as the node's memory is to that of all nodes, so that the sums
// are those of meminfo and vmstat. What has happened, which must not go back when the
// nodes change, shows on the host's first node only.
func renderZoneinfo(dst []byte, v *view, host *hostZoneinfo, _ input) []byte {
	var managed, before uint64
	for i := range host.zones {
		if z := &host.zones[i]; v.nodes.Contains(z.node) {
			managed += z.managed
		}
	}
	all := v.memory.total / pageSize
	part := zonePart{all: all}
	for i := range host.zones {
		z := &host.zones[i]
		if !v.nodes.Contains(z.node) {
			continue
		}
		dst = append(dst, z.header...)
		if z.managed == 0 {
			dst = append(dst, host.unpopulated...)
			continue
		}
		before += z.managed
		part.begin, part.end = part.end, mulDiv(all, before, managed)
		part.counters = z.node == host.first
		dst = host.appendPopulated(dst, v, &part)
	}
	return dst
}

func (h *hostZoneinfo) appendPopulated(dst []byte, v *view, part *zonePart) []byte {
	for i := range h.populated {
		l := &h.populated[i]
		dst = append(dst, l.text...)
		if i < len(h.populated)-1 {
			dst = strconv.AppendUint(dst, part.of(v, l.value), 10)
		}
	}
	for cpu := range v.cpus.visible {
		dst = strconv.AppendInt(append(dst, h.pageset.before...), int64(cpu), 10)
		dst = append(dst, h.pageset.after...)
	}
	return append(dst, h.end...)
}

// zonePart is a node's part of a container's memory: the pages from begin to end, of
// all. As every other figure is cut at the same places, none exceeds the node's
// pages, and nothing is lost to rounding.
type zonePart struct {
	begin, end, all uint64
	counters        bool
}

func (p *zonePart) of(v *view, value vmstatValue) uint64 {
	switch {
	case value.gauge != nil:
		n := value.gauge(&v.memory)
		return mulDiv(n, p.end, p.all) - mulDiv(n, p.begin, p.all)
	case p.counters:
		return value.of(v)
	}
	return 0
}
