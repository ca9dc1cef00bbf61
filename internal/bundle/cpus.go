package bundle

import (
	"fmt"
	"slices"
	"strconv"

	"cloister/cgroupview"
)

// CPUs is CPU time in thousandths of a CPU.
type CPUs int64

// Bounds of CPUs: the kernel's shortest quota is 1 ms of a period of 100 ms, and it
// has no more than 8192 processors.
const (
	minCPUs = 0.01
	maxCPUs = 8192
)

// UnmarshalText implements encoding.TextUnmarshaler.
func (c *CPUs) UnmarshalText(text []byte) error {
	n, err := strconv.ParseFloat(string(text), 64)
	if err != nil {
		return fmt.Errorf("%q is not a number of CPUs; write for example 0.5 or 2", text)
	}
	if !(n >= minCPUs && n <= maxCPUs) { // not a number is neither
		return fmt.Errorf("%s CPUs: it must be between %v and %v", text, minCPUs, maxCPUs)
	}
	*c = CPUs(n*1000 + 0.5)
	return nil
}

// cpuPeriod is docker's, in microseconds.
const cpuPeriod uint64 = 100_000

// quota is the CPU time of one period, in microseconds.
func (c CPUs) quota() int64 { return int64(c) * int64(cpuPeriod) / 1000 }

// CPUSet is a set of CPUs, empty for all of them.
type CPUSet struct{ cgroupview.CPUSet }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *CPUSet) UnmarshalText(text []byte) error {
	set, err := cgroupview.ParseCPUSet(text)
	if err != nil || set.Len() == 0 {
		return fmt.Errorf("%q is not a list of CPUs; write for example 0, 0,2 or 0-3", text)
	}
	s.CPUSet = set
	return nil
}

// within makes sure that the host has all CPUs of the set online.
func (s CPUSet) within(online cgroupview.CPUSet) error {
	there := slices.Collect(online.All())
	for cpu := range s.All() {
		if !slices.Contains(there, cpu) {
			return fmt.Errorf("CPU %d is not there; the host's are %v", cpu, online)
		}
	}
	return nil
}
