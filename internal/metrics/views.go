package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"cloister/fs"
)

// Labels. The value of file is a path as a container sees it.
const (
	fileLabel       = "file"
	protocolLabel   = "protocol"
	superblockLabel = "superblock"
	opcodeLabel     = "opcode"
)

var superblockFamilies = []family[*fs.Stats]{
	counter("fuse_slow_requests_total", "Requests that may take long and were answered aside.",
		func(s *fs.Stats) uint64 { return s.Slow }, superblockLabel),
	counter("fuse_notifications_total", "Messages to the kernel that no request asked for.",
		func(s *fs.Stats) uint64 { return s.Notifications }, superblockLabel),
	counter("fuse_sweeps_total", "Sweeps over the content that the kernel was given.",
		func(s *fs.Stats) uint64 { return s.Sweeps }, superblockLabel),
}

var fileFamilies = []family[*fs.FileStats]{
	counter("view_reads_total", "Reads of a view file that reached the daemon.",
		func(f *fs.FileStats) uint64 { return f.Reads }, fileLabel),
	counter("view_read_bytes_total", "What these reads returned.",
		func(f *fs.FileStats) uint64 { return f.Bytes }, fileLabel),
	counter("view_renewals_total", "How often an open view file got new content because it was read from its start again.",
		func(f *fs.FileStats) uint64 { return f.Renewed }, fileLabel),
	counter("view_errors_total", "Requests for a view file that were answered with an error.",
		func(f *fs.FileStats) uint64 { return f.Errors }, fileLabel),
}

var (
	opensDesc = desc("view_opens_total",
		"Opens of a view file; with protocol leased the kernel got the content at once.", fileLabel, protocolLabel)
	requestsDesc = desc("fuse_requests_total",
		"Requests of the kernel.", superblockLabel, opcodeLabel)
	durationDesc = desc("view_request_duration_seconds",
		"How long requests that rendered a view file took in the daemon.", fileLabel)
)

func (s *Superblock) collect(out chan<- prometheus.Metric) {
	collect(out, superblockFamilies, &s.Stats, s.Name)
	for opcode, n := range s.Stats.Requests {
		count(out, requestsDesc, n, s.Name, opcode)
	}
	for i := range s.Stats.Files {
		collectFile(out, &s.Stats.Files[i])
	}
}

func collectFile(out chan<- prometheus.Metric, f *fs.FileStats) {
	path := "/" + f.Path
	collect(out, fileFamilies, f, path)
	count(out, opensDesc, f.Direct, path, "direct")
	count(out, opensDesc, f.Leased, path, "leased")
	if f.Latency.Count() > 0 { // most files are never asked for, and this is much text
		out <- duration(&f.Latency, path)
	}
}

func count(out chan<- prometheus.Metric, desc *prometheus.Desc, n uint64, labels ...string) {
	out <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(n), labels...)
}

// bounds of the buckets that are shown, as powers of two nanoseconds: from 1 µs to
// 17 s, with all powers up to a millisecond, where healthy requests are.
var bounds = []int{10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 22, 24, 26, 28, 30, 32, 34}

func duration(h *fs.Histogram, path string) prometheus.Metric {
	buckets := make(map[float64]uint64, len(bounds))
	for _, log := range bounds {
		bound := time.Duration(1) << log
		buckets[bound.Seconds()] = h.Below(bound)
	}
	return prometheus.MustNewConstHistogram(durationDesc, h.Count(), h.Sum().Seconds(), buckets, path)
}
