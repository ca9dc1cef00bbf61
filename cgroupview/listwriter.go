package cgroupview

import "strconv"

// ListWriter appends numbers to Dst as the kernel lists sets: "0-3,5". It makes no
// CPUSet of them, so that it needs no memory.
type ListWriter struct {
	Dst         []byte
	first, last int
	some        bool // there is a range from first to last to be written
}

// Add adds a number, which must be higher than the one before.
func (w *ListWriter) Add(n int) {
	if w.some && n == w.last+1 {
		w.last = n
		return
	}
	if w.some {
		w.Dst = append(w.Finish(), ',')
	}
	w.first, w.last, w.some = n, n, true
}

// Finish returns the list, to which nothing may be added any more.
func (w *ListWriter) Finish() []byte {
	if !w.some {
		return w.Dst
	}
	dst := strconv.AppendInt(w.Dst, int64(w.first), 10)
	if w.last > w.first {
		dst = strconv.AppendInt(append(dst, '-'), int64(w.last), 10)
	}
	return dst
}
