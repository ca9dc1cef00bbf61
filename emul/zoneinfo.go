package emul

import (
	"maps"
	"strconv"
	"time"
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
