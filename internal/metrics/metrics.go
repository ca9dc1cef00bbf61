// Package metrics shows to Prometheus what a daemon has counted.
//
// It counts nothing itself but system calls: at each scrape it takes a snapshot and gives it the names
// that docs/observability.md lists. Labels take few values, which containers have no
// influence on: the paths of view files, with a star for the members of a series, and
// the kernel's names of requests. No label names a container.
package metrics

import (
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"cloister/fs"
)

// Snapshot is what a scrape shows.
type Snapshot struct {
	Superblocks []Superblock
	Containers  int
	// Registrations and Refusals of containers since the daemon was started.
	Registrations, Refusals uint64
	// IDsUsed of the IDs in the region.
	IDsUsed, IDs uint64
	// Listeners are where trapped system calls arrive. RefusedListeners is how often what a
	// runtime has sent was none, or no container's.
	Listeners, RefusedListeners uint64
	// Worker is nil where nothing would start the daemon again.
	Worker *Worker
}

// Superblock is one mount of view files.
type Superblock struct {
	Name  string
	Stats fs.Stats
}

// Worker says how often the process that serves was replaced.
type Worker struct {
	Restarts uint64
	// Kills are the restarts that were made because it no longer answered.
	Kills uint64
}

// NewRegistry returns what a scrape gathers from: the snapshots that take returns, and
// what the Go runtime and the kernel say of this process. Preconditions: take may be
// called at any time, also more than once at a time.
func NewRegistry(version string, take func() Snapshot, calls *Syscalls) *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(
		collector(take),
		calls,
		buildInfo(version),
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return r
}

func buildInfo(version string) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name:        "cloister_build_info",
		Help:        "Is 1; the labels say what this daemon was built from.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
	}, func() float64 { return 1 })
}

// collector is a prometheus.Collector of snapshots.
type collector func() Snapshot

var _ prometheus.Collector = collector(nil)

// Describe implements prometheus.Collector.
func (collector) Describe(out chan<- *prometheus.Desc) {
	describe(out, daemonFamilies)
	describe(out, workerFamilies)
	describe(out, superblockFamilies)
	describe(out, fileFamilies)
	for _, desc := range []*prometheus.Desc{opensDesc, requestsDesc, durationDesc} {
		out <- desc
	}
}

// Collect implements prometheus.Collector.
func (c collector) Collect(out chan<- prometheus.Metric) {
	s := c()
	collect(out, daemonFamilies, &s)
	if s.Worker != nil {
		collect(out, workerFamilies, s.Worker)
	}
	for i := range s.Superblocks {
		s.Superblocks[i].collect(out)
	}
}
