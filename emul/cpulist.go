package emul

import (
	"strconv"

	"cloister/cgroupview"
)

// listWriter appends numbers, which are added in rising order, as the kernel lists
// sets: "0-3,5".
type listWriter struct {
	dst         []byte
	first, last int
	some        bool // there is a range from first to last to be written
}

func (w *listWriter) add(n int) {
	if w.some && n == w.last+1 {
		w.last = n
		return
	}
	if w.some {
		w.dst = append(w.flush(), ',')
	}
	w.first, w.last, w.some = n, n, true
}

func (w *listWriter) flush() []byte {
	if !w.some {
		return w.dst
	}
	w.some = false
	w.dst = strconv.AppendInt(w.dst, int64(w.first), 10)
	if w.last > w.first {
		w.dst = strconv.AppendInt(append(w.dst, '-'), int64(w.last), 10)
	}
	return w.dst
}

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
	w := listWriter{dst: dst}
	c.among(host, w.add)
	return w.flush()
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
