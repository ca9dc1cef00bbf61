package fs

import (
	"sync/atomic"
	"time"

	"golang.org/x/sys/cpu"
)

// stats counts what a superblock does. Its methods wait for nothing and allocate
// nothing, and may be called by several goroutines at once.
type stats struct {
	files    []File
	perFile  []fileStats // in the order of files
	requests [opcodes]atomic.Uint64
	_        cpu.CacheLinePad
	// What other goroutines than the one that reads requests count.
	slow, notifications, sweeps atomic.Uint64
}

// opcodes is how many opcodes are told apart; the last so far is 53. No request has
// opcode 0: those that are too high are counted there.
const opcodes = 64

// fileStats are the counters of one file, in all slots and of all members.
type fileStats struct {
	opens                        [servings]atomic.Uint64
	reads, bytes, renews, errors atomic.Uint64
	latency                      histogram
	_                            cpu.CacheLinePad // between this file and the next
}

// serving is the way in which an open's content reaches the reader.
type serving uint8

const (
	// direct: each read is a request, answered from the open file's snapshot.
	direct serving = iota
	// leased: the content was given to the kernel together with the open.
	leased
	servings
)

func newStats(files []File) *stats {
	return &stats{files: files, perFile: make([]fileStats, len(files))}
}

// opened counts an open that succeeded.
func (s *stats) opened(file int, how serving) { s.perFile[file].opens[how].Add(1) }

// read counts a read that succeeded, and what it returned.
func (s *stats) read(file, bytes int) {
	f := &s.perFile[file]
	f.reads.Add(1)
	f.bytes.Add(uint64(bytes))
}

// renewed counts that an open file got new content.
func (s *stats) renewed(file int) { s.perFile[file].renews.Add(1) }

// failed counts a request that was answered with an errno.
func (s *stats) failed(file int) { s.perFile[file].errors.Add(1) }

// took counts a request that rendered, and how long it was here: from the read(2)
// that returned it until its reply was written.
func (s *stats) took(file int, d time.Duration) { s.perFile[file].latency.record(d) }

// request counts a request of any kind.
func (s *stats) request(op uint32) {
	if op >= opcodes {
		op = 0
	}
	s.requests[op].Add(1)
}

// handedOver counts a request that another goroutine than the reading one answers,
// because it may take long.
func (s *stats) handedOver() { s.slow.Add(1) }

// notified counts a message to the kernel that no request asked for.
func (s *stats) notified() { s.notifications.Add(1) }

// swept counts a sweep over what was leased.
func (s *stats) swept() { s.sweeps.Add(1) }

// Stats is what a Server has done since it was mounted. The numbers were read one
// after the other while it went on.
type Stats struct {
	// Requests of the kernel by their names in include/uapi/linux/fuse.h without
	// FUSE_, such as "OPEN". Those that there were none of are left out.
	Requests map[string]uint64
	// Slow are the requests that may take long and are answered aside, so that
	// others need not wait for them.
	Slow uint64
	// Notifications are messages to the kernel that no request asked for.
	Notifications uint64
	// Sweeps over what was leased.
	Sweeps uint64
	// Files in the order given to Mount, but for directories and hidden ones.
	Files []FileStats
}

// FileStats is what was done with a file, in all slots and of all members.
type FileStats struct {
	Path string
	// Leased and Direct are the opens that succeeded: with those that are leased
	// the kernel got the content, those that are direct ask for it by reads.
	Leased, Direct uint64
	// Reads are those that reached us and succeeded, Bytes is what they returned.
	Reads, Bytes uint64
	// Renewed counts how often an open file got new content, because it was read
	// from its start again.
	Renewed uint64
	// Errors are requests that were answered with an errno.
	Errors uint64
	// Latency is how long requests that rendered were here.
	Latency Histogram
}

// Opens returns the opens that succeeded.
func (f *FileStats) Opens() uint64 { return f.Leased + f.Direct }

func (s *stats) snapshot() Stats {
	all := Stats{
		Requests:      map[string]uint64{},
		Slow:          s.slow.Load(),
		Notifications: s.notifications.Load(),
		Sweeps:        s.sweeps.Load(),
	}
	for op := range s.requests {
		if n := s.requests[op].Load(); n > 0 {
			all.Requests[opcodeName(op)] += n
		}
	}
	for i, f := range s.files {
		if !f.Hidden && !f.Dir {
			all.Files = append(all.Files, s.perFile[i].snapshot(f.Path))
		}
	}
	return all
}

func (f *fileStats) snapshot(path string) FileStats {
	return FileStats{
		Path:    path,
		Leased:  f.opens[leased].Load(),
		Direct:  f.opens[direct].Load(),
		Reads:   f.reads.Load(),
		Bytes:   f.bytes.Load(),
		Renewed: f.renews.Load(),
		Errors:  f.errors.Load(),
		Latency: f.latency.snapshot(),
	}
}
