package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	callLabel    = "call"
	outcomeLabel = "outcome"
)

// Syscalls counts the trapped system calls of containers as they are answered.
type Syscalls struct {
	answered *prometheus.CounterVec
	duration *prometheus.HistogramVec
}

var _ prometheus.Collector = (*Syscalls)(nil)

// NewSyscalls returns one that has counted nothing.
func NewSyscalls() *Syscalls {
	return &Syscalls{
		answered: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "cloister_syscalls_total",
			Help: "Trapped system calls of containers that were answered.",
		}, []string{callLabel, outcomeLabel}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "cloister_syscall_duration_seconds",
			Help:    "How long answering a trapped system call took in the daemon.",
			Buckets: prometheus.ExponentialBuckets(8e-6, 4, 11), // to 8 s
		}, []string{callLabel}),
	}
}

// Count counts a call: its name, and what has become of it.
func (s *Syscalls) Count(call, outcome string, took time.Duration) {
	s.answered.WithLabelValues(call, outcome).Inc()
	s.duration.WithLabelValues(call).Observe(took.Seconds())
}

// Describe implements prometheus.Collector.
func (s *Syscalls) Describe(out chan<- *prometheus.Desc) {
	s.answered.Describe(out)
	s.duration.Describe(out)
}

// Collect implements prometheus.Collector.
func (s *Syscalls) Collect(out chan<- prometheus.Metric) {
	s.answered.Collect(out)
	s.duration.Collect(out)
}
