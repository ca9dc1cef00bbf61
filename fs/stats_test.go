package fs

import (
	"maps"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestStats(t *testing.T) {
	s := newStats([]File{{Path: "gone", Hidden: true}, {Path: "dir", Dir: true}, {Path: "cpu*/a"}, {Path: "b"}})
	s.opened(2, leased)
	s.opened(2, direct)
	s.opened(2, direct)
	s.read(2, 100)
	s.read(2, 0)
	s.renewed(2)
	s.took(2, time.Millisecond)
	s.failed(3)
	s.request(opPoll)
	s.request(opPoll)
	s.request(opInit)
	s.request(7)   // not in use
	s.request(500) // of a kernel to come
	s.handedOver()
	s.notified()
	s.notified()
	s.swept()

	got := s.snapshot()
	if want := map[string]uint64{"POLL": 2, "INIT": 1, "other": 2}; !maps.Equal(got.Requests, want) {
		t.Errorf("got requests %v, want %v", got.Requests, want)
	}
	if got.Slow != 1 || got.Notifications != 2 || got.Sweeps != 1 {
		t.Errorf("got %d slow, %d notifications, %d sweeps", got.Slow, got.Notifications, got.Sweeps)
	}
	if len(got.Files) != 2 {
		t.Fatalf("got %d files, want the two that are shown", len(got.Files))
	}
	var latency histogram
	latency.record(time.Millisecond)
	want := []FileStats{
		{Path: "cpu*/a", Leased: 1, Direct: 2, Reads: 2, Bytes: 100, Renewed: 1, Latency: latency.snapshot()},
		{Path: "b", Errors: 1},
	}
	for i, f := range got.Files {
		if f != want[i] {
			t.Errorf("got %+v, want %+v", f, want[i])
		}
	}
	if got.Files[0].Opens() != 3 {
		t.Errorf("got %d opens, want 3", got.Files[0].Opens())
	}
}

// record is what a superblock counts for one cat of a file.
func (s *stats) record(file int) {
	s.request(14)
	s.opened(file, direct)
	s.took(file, 12*time.Microsecond)
	s.request(15)
	s.read(file, 1500)
}

func TestStatsConcurrently(t *testing.T) {
	const goroutines, each = 4, 1000
	s := newStats(testFiles)
	var all sync.WaitGroup
	for range goroutines {
		all.Go(func() {
			for range each {
				s.record(1)
				s.snapshot()
			}
		})
	}
	all.Wait()
	got := s.snapshot()
	f := got.Files[1]
	if n := uint64(goroutines * each); f.Direct != n || f.Reads != n || f.Bytes != 1500*n || f.Latency.Count() != n || got.Requests["READ"] != n {
		t.Errorf("got %+v, want %d of each", f, n)
	}
}

func TestStatsDoNotAllocate(t *testing.T) {
	s := newStats(testFiles)
	if n := testing.AllocsPerRun(100, func() { s.record(1) }); n != 0 {
		t.Errorf("got %v allocations, want none", n)
	}
}

// What counting costs a cat of a file: eight additions.
func BenchmarkStats(b *testing.B) {
	s := newStats(testFiles)
	b.ReportAllocs()
	for b.Loop() {
		s.record(1)
	}
}

// The same by several goroutines, each at a file of its own.
func BenchmarkStatsParallel(b *testing.B) {
	s := newStats(testFiles)
	var next atomic.Int32
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		file := int(next.Add(1)) % len(testFiles)
		for pb.Next() {
			s.record(file)
		}
	})
}
