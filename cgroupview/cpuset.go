package cgroupview

import (
	"bytes"
	"fmt"
	"iter"
	"math/bits"
	"strconv"
)

// CPUSet is a set of CPU numbers, or of the numbers of memory nodes, which the
// kernel lists the same way. The zero value is the empty set.
type CPUSet struct {
	words []uint64
}

// maxCPU bounds what a list may name, so that a damaged one cannot ask for
// unbounded memory. Linux is built for at most 8192 CPUs.
const maxCPU = 1<<16 - 1

// ParseCPUSet parses the kernel's list format: "0-3,5", surrounding white space
// allowed, "" for the empty set.
func ParseCPUSet(list []byte) (CPUSet, error) {
	var s CPUSet
	err := s.parse(list)
	return s, err
}

// parse replaces the set by that of list and reuses its memory.
func (s *CPUSet) parse(list []byte) error {
	s.words = s.words[:0]
	rest := bytes.TrimSpace(list)
	for more := len(rest) > 0; more; {
		var item []byte
		item, rest, more = bytes.Cut(rest, []byte{','})
		if err := s.addRange(item); err != nil {
			s.words = s.words[:0]
			return fmt.Errorf("list %.60q: %w", list, err)
		}
	}
	return nil
}

func (s *CPUSet) addRange(item []byte) error {
	first, last, isRange := bytes.Cut(item, []byte{'-'})
	lo, err := parseCPU(first)
	if err != nil {
		return err
	}
	hi := lo
	if isRange {
		if hi, err = parseCPU(last); err != nil {
			return err
		}
	}
	if lo > hi {
		return fmt.Errorf("range %q: %w", item, ErrFormat)
	}
	for cpu := lo; cpu <= hi; cpu++ {
		s.add(cpu)
	}
	return nil
}

func parseCPU(b []byte) (int, error) {
	v, err := strconv.ParseUint(string(b), 10, 32)
	if err != nil || v > maxCPU {
		return 0, fmt.Errorf("CPU %.20q: %w", b, ErrFormat)
	}
	return int(v), nil
}

func (s *CPUSet) add(cpu int) {
	for cpu/64 >= len(s.words) {
		s.words = append(s.words, 0)
	}
	s.words[cpu/64] |= 1 << (cpu % 64)
}

// Len returns the number of CPUs in the set.
func (s CPUSet) Len() int {
	n := 0
	for _, w := range s.words {
		n += bits.OnesCount64(w)
	}
	return n
}

// Contains reports whether the CPU is in the set.
func (s CPUSet) Contains(cpu int) bool {
	return cpu >= 0 && s.word(cpu/64)&(1<<(cpu%64)) != 0
}

// All yields the CPUs of the set in rising order.
func (s CPUSet) All() iter.Seq[int] {
	return func(yield func(int) bool) {
		for i, w := range s.words {
			for ; w != 0; w &= w - 1 {
				if !yield(i*64 + bits.TrailingZeros64(w)) {
					return
				}
			}
		}
	}
}

// Equal reports whether both sets hold the same CPUs.
func (s CPUSet) Equal(t CPUSet) bool {
	for i := range max(len(s.words), len(t.words)) {
		if s.word(i) != t.word(i) {
			return false
		}
	}
	return true
}

func (s CPUSet) word(i int) uint64 {
	if i < len(s.words) {
		return s.words[i]
	}
	return 0
}

// AppendList appends the set in the kernel's list format, "0-3,5".
func (s CPUSet) AppendList(dst []byte) []byte {
	w := ListWriter{Dst: dst}
	for cpu := range s.All() {
		w.Add(cpu)
	}
	return w.Finish()
}

// String returns the set in the kernel's list format.
func (s CPUSet) String() string { return string(s.AppendList(nil)) }
