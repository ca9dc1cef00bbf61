package emul

import (
	"strconv"

	"cloister/cgroupview"
)

// appendUpTo appends the list of the numbers below n.
func appendUpTo(dst []byte, n int) []byte {
	dst = append(dst, '0')
	if n > 1 {
		dst = strconv.AppendInt(append(dst, '-'), int64(n-1), 10)
	}
	return dst
}

// mask is the text of a set as the kernel's %*pb prints it: hexadecimal numbers of 32
// bits, with commas between them, as wide as there are CPUs.
type mask []byte

// appendMask appends an empty mask of n bits, which is to be filled where it is.
func appendMask(dst []byte, n int) ([]byte, mask) {
	start := len(dst)
	for digits := (n + 3) / 4; digits > 0; digits-- {
		dst = append(dst, '0')
		if digits%8 == 1 && digits > 1 {
			dst = append(dst, ',')
		}
	}
	return dst, dst[start:]
}

// set sets a bit that is not set.
func (m mask) set(n int) {
	const digits = "0123456789abcdef"
	i := len(m) - 1 - n/4 - n/32
	value := m[i] - '0'
	if m[i] >= 'a' {
		value = m[i] - 'a' + 10
	}
	m[i] = digits[value|1<<(n%4)]
}

// appendList appends those CPUs of the host's that the container sees.
func (c *cpus) appendList(dst []byte, host cgroupview.CPUSet) []byte {
	w := cgroupview.ListWriter{Dst: dst}
	c.among(host, w.Add)
	return w.Finish()
}

// appendMap appends the same as a mask.
func (c *cpus) appendMap(dst []byte, host cgroupview.CPUSet) []byte {
	dst, mask := appendMask(dst, c.visible)
	c.among(host, mask.set)
	return dst
}

// among calls add with the container's number of each CPU of the host's that it sees.
func (c *cpus) among(host cgroupview.CPUSet, add func(cpu int)) {
	cpu := 0
	for n := range c.physical.All() {
		if cpu == c.visible {
			break
		}
		if host.Contains(n) {
			add(cpu)
		}
		cpu++
	}
}
