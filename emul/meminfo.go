package emul

import (
	"bytes"
	"fmt"
	"strconv"

	"cloister/cgroupview"
)

// hostMeminfo is the host's /proc/meminfo, in bytes.
type hostMeminfo struct {
	total, free, available uint64
	swapTotal, swapFree    uint64
	commitLimit            uint64
	lines                  []meminfoLine // those that a container sees, in the kernel's order
}

// meminfoLine is a line that a container sees.
type meminfoLine struct {
	*meminfoField
	host uint64 // in place of value
	end  string // " kB\n", "\n"
}

// meminfoField is what a container sees on the lines of one name.
type meminfoField struct {
	label string               // "MemTotal:       "
	value func(*memory) uint64 // nil for the host's own figure
}

// meminfoFields tells, in bytes, what a container sees on each line. nil stands
// for the host's own figure, on lines that describe the machine or its kernel
// and not what is in use. What the kernel does not count per cgroup is zero. A
// line that is not listed is left out.
var meminfoFields = labelled(map[string]func(m *memory) uint64{
	"MemTotal":          func(m *memory) uint64 { return m.total },
	"MemFree":           func(m *memory) uint64 { return m.free },
	"MemAvailable":      func(m *memory) uint64 { return m.available },
	"Buffers":           zero, // contained in Cached
	"Cached":            func(m *memory) uint64 { return m.stat.File },
	"SwapCached":        func(m *memory) uint64 { return m.stat.Swapcached },
	"Active":            func(m *memory) uint64 { return m.stat.ActiveAnon + m.stat.ActiveFile },
	"Inactive":          func(m *memory) uint64 { return m.stat.InactiveAnon + m.stat.InactiveFile },
	"Active(anon)":      func(m *memory) uint64 { return m.stat.ActiveAnon },
	"Inactive(anon)":    func(m *memory) uint64 { return m.stat.InactiveAnon },
	"Active(file)":      func(m *memory) uint64 { return m.stat.ActiveFile },
	"Inactive(file)":    func(m *memory) uint64 { return m.stat.InactiveFile },
	"Unevictable":       func(m *memory) uint64 { return m.stat.Unevictable },
	"Mlocked":           zero,
	"SwapTotal":         func(m *memory) uint64 { return m.swapTotal },
	"SwapFree":          func(m *memory) uint64 { return m.swapFree },
	"Zswap":             func(m *memory) uint64 { return m.stat.Zswap },
	"Zswapped":          func(m *memory) uint64 { return m.stat.Zswapped },
	"Dirty":             func(m *memory) uint64 { return m.stat.FileDirty },
	"Writeback":         func(m *memory) uint64 { return m.stat.FileWriteback },
	"AnonPages":         func(m *memory) uint64 { return m.stat.Anon },
	"Mapped":            func(m *memory) uint64 { return m.stat.FileMapped },
	"Shmem":             func(m *memory) uint64 { return m.stat.Shmem },
	"KReclaimable":      func(m *memory) uint64 { return m.stat.SlabReclaimable },
	"Slab":              func(m *memory) uint64 { return m.stat.Slab },
	"SReclaimable":      func(m *memory) uint64 { return m.stat.SlabReclaimable },
	"SUnreclaim":        func(m *memory) uint64 { return m.stat.SlabUnreclaimable },
	"KernelStack":       func(m *memory) uint64 { return m.stat.KernelStack },
	"ShadowCallStack":   zero,
	"PageTables":        func(m *memory) uint64 { return m.stat.Pagetables },
	"SecPageTables":     func(m *memory) uint64 { return m.stat.SecPagetables },
	"NFS_Unstable":      zero,
	"Bounce":            zero,
	"WritebackTmp":      zero,
	"CommitLimit":       func(m *memory) uint64 { return m.commitLimit },
	"Committed_AS":      func(m *memory) uint64 { return m.committed },
	"VmallocTotal":      nil,
	"VmallocUsed":       func(m *memory) uint64 { return m.stat.Vmalloc },
	"VmallocChunk":      zero,
	"Percpu":            func(m *memory) uint64 { return m.stat.Percpu },
	"HardwareCorrupted": zero,
	"AnonHugePages":     func(m *memory) uint64 { return m.stat.AnonThp },
	"ShmemHugePages":    func(m *memory) uint64 { return m.stat.ShmemThp },
	"ShmemPmdMapped":    zero,
	"FileHugePages":     func(m *memory) uint64 { return m.stat.FileThp },
	"FilePmdMapped":     zero,
	"CmaTotal":          zero,
	"CmaFree":           zero,
	"Unaccepted":        zero,
	"Balloon":           zero,
	"HugePages_Total":   zero, // the pool is the host's; hugetlb is a controller of its own
	"HugePages_Free":    zero,
	"HugePages_Rsvd":    zero,
	"HugePages_Surp":    zero,
	"Hugepagesize":      nil,
	"Hugetlb":           zero,
	"DirectMap4k":       nil,
	"DirectMap64k":      nil,
	"DirectMap1M":       nil,
	"DirectMap2M":       nil,
	"DirectMap4M":       nil,
	"DirectMap1G":       nil,
})

func zero(*memory) uint64 { return 0 }

func labelled(values map[string]func(*memory) uint64) map[string]*meminfoField {
	fields := make(map[string]*meminfoField, len(values))
	for name, value := range values {
		label := string(appendPadded(nil, name+":", 16))
		fields[name] = &meminfoField{label: label, value: value}
	}
	return fields
}

// parseMeminfo parses the host's /proc/meminfo, fs/proc/meminfo.c:
// "NAME: VALUE kB", without a unit where pages are counted.
func parseMeminfo(b []byte) (*hostMeminfo, error) {
	h := &hostMeminfo{lines: make([]meminfoLine, 0, len(meminfoFields))}
	for line := range bytes.Lines(b) {
		name, rest, ok := bytes.Cut(line, []byte(":"))
		value, unit, _ := bytes.Cut(bytes.TrimSpace(rest), []byte(" "))
		v, err := strconv.ParseUint(string(value), 10, 64)
		if !ok || err != nil {
			return nil, fmt.Errorf("line %.60q: %w", line, cgroupview.ErrFormat)
		}
		if field := h.field(name); field != nil {
			*field = v << 10
		}
		f := meminfoFields[string(name)]
		if f == nil {
			continue
		}
		end := " kB\n"
		if len(unit) == 0 {
			end = "\n"
		}
		h.lines = append(h.lines, meminfoLine{meminfoField: f, host: v << 10, end: end})
	}
	if h.total == 0 {
		return nil, fmt.Errorf("no MemTotal: %w", cgroupview.ErrFormat)
	}
	return h, nil
}

func (h *hostMeminfo) field(name []byte) *uint64 {
	switch string(name) {
	case "MemTotal":
		return &h.total
	case "MemFree":
		return &h.free
	case "MemAvailable":
		return &h.available
	case "SwapTotal":
		return &h.swapTotal
	case "SwapFree":
		return &h.swapFree
	case "CommitLimit":
		return &h.commitLimit
	}
	return nil
}

// renderMeminfo renders /proc/meminfo with the lines of the running kernel.
func renderMeminfo(dst []byte, v *view, _ input) []byte {
	for i := range v.host.meminfo.lines {
		l := &v.host.meminfo.lines[i]
		n := l.host
		if l.value != nil {
			n = l.value(&v.memory)
		}
		dst = append(dst, l.label...)
		dst = appendRight8(dst, n>>10)
		dst = append(dst, l.end...)
	}
	return dst
}
