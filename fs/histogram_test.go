package fs

import (
	"math"
	"testing"
	"time"
)

func TestBucketOf(t *testing.T) {
	for _, tt := range []struct {
		ns   uint64
		want int
	}{
		{0, 0},
		{1023, 0},
		{1024, 1},
		{1279, 1},
		{1280, 2},
		{2047, 4},
		{2048, 5},
		{1<<34 - 1, lastIndex - 1},
		{1 << 34, lastIndex},
		{math.MaxUint64, lastIndex},
	} {
		if got := bucketOf(tt.ns); got != tt.want {
			t.Errorf("%d ns: got bucket %d, want %d", tt.ns, got, tt.want)
		}
	}
}

// The buckets cover everything: each begins where the one before it ends.
func TestLowerBound(t *testing.T) {
	for i := 1; i <= lastIndex; i++ {
		low := uint64(lowerBound(i))
		if got := bucketOf(low); got != i {
			t.Errorf("%d ns are in bucket %d, want %d", low, got, i)
		}
		if got := bucketOf(low - 1); got != i-1 {
			t.Errorf("%d ns are in bucket %d, want %d", low-1, got, i-1)
		}
	}
}

func recorded(all ...time.Duration) *Histogram {
	var h histogram
	for _, d := range all {
		h.record(d)
	}
	s := h.snapshot()
	return &s
}

func TestHistogramSums(t *testing.T) {
	h := recorded(-time.Second, 0, 5*time.Microsecond, time.Minute)
	h.Add(recorded(7 * time.Microsecond))
	if h.Count() != 5 || h.Sum() != time.Minute+12*time.Microsecond {
		t.Errorf("got %d durations, %v together", h.Count(), h.Sum())
	}
}

func TestHistogramBelow(t *testing.T) {
	h := recorded(0, 1023, 1024, 4095, 4096, time.Hour)
	for _, tt := range []struct {
		d    time.Duration
		want uint64
	}{
		{-1, 0},
		{1 << 10, 2},
		{1 << 11, 3},
		{1 << 12, 4},
		{1 << 13, 5},
		{1 << 34, 5},
	} {
		if got := h.Below(tt.d); got != tt.want {
			t.Errorf("below %d ns: got %d, want %d", tt.d, got, tt.want)
		}
	}
}

func TestQuantile(t *testing.T) {
	var evenly histogram
	for us := range 1000 {
		evenly.record(time.Duration(us+1) * time.Microsecond)
	}
	thousand := evenly.snapshot()
	for _, tt := range []struct {
		name     string
		h        *Histogram
		q        float64
		from, to time.Duration
	}{
		{"none", recorded(), 0.5, 0, 0},
		{"one", recorded(10 * time.Microsecond), 0.5, 8750, 11250},
		{"evenly p50", &thousand, 0.5, 437 * time.Microsecond, 563 * time.Microsecond},
		{"evenly p99", &thousand, 0.99, 866 * time.Microsecond, 1114 * time.Microsecond},
		{"lowest", &thousand, 0, 0, 1024},
		{"highest", recorded(1, time.Microsecond, time.Hour), 1, 1 << 34, 1 << 34},
		{"short", recorded(1), 1, 1, 1024},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.h.Quantile(tt.q); got < tt.from || got > tt.to {
				t.Errorf("got %v, want %v to %v", got, tt.from, tt.to)
			}
		})
	}
}
