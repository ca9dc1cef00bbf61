package emul

import (
	"bytes"
	"fmt"
	"strconv"

	"cloister/cgroupview"
)

// hostCPUInfo is the host's /proc/cpuinfo, cut up for renumbering.
type hostCPUInfo struct {
	blocks map[int][]cpuinfoPart // by CPU number
	any    []cpuinfoPart         // one of the blocks
}

// cpuinfoPart is a piece of text and the number that comes after it.
type cpuinfoPart struct {
	text   string
	number cpuinfoNumber
}

// cpuinfoNumber says what a number in /proc/cpuinfo is about.
type cpuinfoNumber int

const (
	noNumber cpuinfoNumber = iota // the last part of a block
	thisCPU                       // counts the CPUs up from 0
	cpuCount                      // is the number of CPUs
	firstCPU                      // is 0
)

// cpuinfoNumbers are the lines whose number is not taken from the host: all CPUs
// of a container are cores, with one thread each, of one socket. arm64 has the
// first of these lines only.
var cpuinfoNumbers = map[string]cpuinfoNumber{
	"processor":      thisCPU,
	"physical id":    firstCPU,
	"siblings":       cpuCount,
	"core id":        thisCPU,
	"cpu cores":      cpuCount,
	"apicid":         thisCPU,
	"initial apicid": thisCPU,
}

// parseCPUInfo parses the host's /proc/cpuinfo of x86 and arm64
// (arch/x86/kernel/cpu/proc.c, arch/arm64/kernel/cpuinfo.c): a block of
// "KEY : VALUE" lines for each CPU, ended by an empty line. Text outside of such
// blocks is left out.
func parseCPUInfo(b []byte) (*hostCPUInfo, error) {
	h := &hostCPUInfo{blocks: map[int][]cpuinfoPart{}}
	for len(b) > 0 {
		var block []byte
		block, b, _ = bytes.Cut(b, []byte("\n\n"))
		if !bytes.HasPrefix(block, []byte("processor")) {
			continue
		}
		cpu, parts, err := parseCPUInfoBlock(block)
		if err != nil {
			return nil, err
		}
		h.blocks[cpu] = parts
		h.any = parts
	}
	if h.any == nil {
		return nil, fmt.Errorf("no processor: %w", cgroupview.ErrFormat)
	}
	return h, nil
}

func parseCPUInfoBlock(block []byte) (cpu int, parts []cpuinfoPart, err error) {
	var text []byte
	for line := range bytes.Lines(block) {
		key, value, _ := bytes.Cut(line, []byte(":"))
		key = bytes.TrimSpace(key)
		value = bytes.TrimSpace(value)
		number, ok := cpuinfoNumbers[string(key)]
		if !ok {
			text = append(text, line...)
			continue
		}
		if string(key) == "processor" {
			if cpu, err = strconv.Atoi(string(value)); err != nil {
				return 0, nil, fmt.Errorf("line %.60q: %w", line, cgroupview.ErrFormat)
			}
		}
		before, _, _ := bytes.Cut(line, []byte(":"))
		text = append(append(text, before...), ": "...)
		parts = append(parts, cpuinfoPart{string(text), number})
		text = append(text[:0], '\n')
	}
	text = append(bytes.TrimSuffix(text, []byte("\n")), "\n\n"...)
	return cpu, append(parts, cpuinfoPart{string(text), noNumber}), nil
}

// renderCPUInfo renders /proc/cpuinfo: a block for each CPU that the container
// sees, of the model of a CPU that it may run on. What changes in the host's while
// its CPUs stay, "cpu MHz" on x86, is as it was first read: on a large machine
// the file has hundreds of kilobytes, and containers are shown it from what the kernel
// keeps.
func renderCPUInfo(dst []byte, v *view, host *hostCPUInfo, _ input) []byte {
	n := 0
	for cpu := range v.cpus.physical.All() {
		if n == v.cpus.visible {
			break
		}
		parts, ok := host.blocks[cpu]
		if !ok { // it came online after the host's file was read
			parts = host.any
		}
		dst = appendCPUInfo(dst, parts, n, v.cpus.visible)
		n++
	}
	return dst
}

func appendCPUInfo(dst []byte, parts []cpuinfoPart, cpu, count int) []byte {
	for _, p := range parts {
		dst = append(dst, p.text...)
		switch p.number {
		case thisCPU:
			dst = strconv.AppendInt(dst, int64(cpu), 10)
		case cpuCount:
			dst = strconv.AppendInt(dst, int64(count), 10)
		case firstCPU:
			dst = append(dst, '0')
		}
	}
	return dst
}
