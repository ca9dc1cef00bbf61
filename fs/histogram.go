package fs

import (
	"math"
	"math/bits"
	"sync/atomic"
	"time"
)

// A histogram's buckets divide each power of two nanoseconds into four equal parts,
// from 2^10 ns, about a microsecond, to 2^34 ns, about 17 seconds. One more is for
// what is shorter and one for what is longer. So a quantile is known to an eighth.
const (
	subBits   = 2
	minLog    = 10
	maxLog    = 34
	lastIndex = 1 + (maxLog-minLog)<<subBits
)

// histogram counts durations. It may be used by several goroutines at once.
type histogram struct {
	buckets [lastIndex + 1]atomic.Uint64
	sum     atomic.Uint64 // nanoseconds
}

func (h *histogram) record(d time.Duration) {
	ns := uint64(max(d, 0))
	h.buckets[bucketOf(ns)].Add(1)
	h.sum.Add(ns)
}

// bucketOf returns the bucket that a number of nanoseconds is counted in.
func bucketOf(ns uint64) int {
	log := bits.Len64(ns) - 1
	switch {
	case log < minLog:
		return 0
	case log >= maxLog:
		return lastIndex
	}
	sub := ns >> (log - subBits) & (1<<subBits - 1)
	return 1 + (log-minLog)<<subBits + int(sub)
}

// lowerBound returns the shortest duration that is counted in a bucket. It is also
// the one that no duration in the bucket before reaches.
func lowerBound(bucket int) time.Duration {
	if bucket == 0 {
		return 0
	}
	log, sub := (bucket-1)>>subBits+minLog, (bucket-1)&(1<<subBits-1)
	return time.Duration(1<<subBits+sub) << (log - subBits)
}

func (h *histogram) snapshot() Histogram {
	s := Histogram{sum: h.sum.Load()}
	for i := range h.buckets {
		s.buckets[i] = h.buckets[i].Load()
	}
	return s
}

// Histogram says how many durations of which lengths there were.
type Histogram struct {
	buckets [lastIndex + 1]uint64
	sum     uint64
}

// Count returns the number of durations.
func (h *Histogram) Count() uint64 { return h.countTo(len(h.buckets)) }

func (h *Histogram) countTo(bucket int) (n uint64) {
	for _, count := range h.buckets[:bucket] {
		n += count
	}
	return n
}

// Sum returns all durations together.
func (h *Histogram) Sum() time.Duration { return time.Duration(h.sum) }

// Below returns the number of durations that were shorter than d. It is exact if d is
// a power of two nanoseconds from 2^10 to 2^34; otherwise some that were shorter may
// be missing.
func (h *Histogram) Below(d time.Duration) uint64 { return h.countTo(bucketOf(uint64(max(d, 0)))) }

// Add adds what another histogram has counted.
func (h *Histogram) Add(other *Histogram) {
	for i, count := range other.buckets {
		h.buckets[i] += count
	}
	h.sum += other.sum
}

// Quantile estimates the duration that a part q of all, from 0 to 1, were not longer
// than. It is 0 if there were none, and at most 2^34 ns.
func (h *Histogram) Quantile(q float64) time.Duration {
	rank := q * float64(h.Count())
	var before float64
	for i, count := range h.buckets {
		n := float64(count)
		if count > 0 && before+n >= rank {
			return between(i, (rank-before)/n)
		}
		before += n
	}
	return 0
}

// between returns what is a part of the way through a bucket.
func between(bucket int, part float64) time.Duration {
	low := lowerBound(bucket)
	if bucket == lastIndex { // has no end
		return low
	}
	width := float64(lowerBound(bucket+1) - low)
	return low + time.Duration(math.Round(width*part))
}
