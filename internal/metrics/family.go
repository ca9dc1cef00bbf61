package metrics

import "github.com/prometheus/client_golang/prometheus"

// family is a metric that each T has one value of.
type family[T any] struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(T) uint64
}

func gauge[T any](name, help string, value func(T) uint64, labels ...string) family[T] {
	return family[T]{desc(name, help, labels...), prometheus.GaugeValue, value}
}

func counter[T any](name, help string, value func(T) uint64, labels ...string) family[T] {
	return family[T]{desc(name, help, labels...), prometheus.CounterValue, value}
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("cloister_"+name, help, labels, nil)
}

func describe[T any](out chan<- *prometheus.Desc, families []family[T]) {
	for _, f := range families {
		out <- f.desc
	}
}

func collect[T any](out chan<- prometheus.Metric, families []family[T], from T, labels ...string) {
	for _, f := range families {
		out <- prometheus.MustNewConstMetric(f.desc, f.kind, float64(f.value(from)), labels...)
	}
}

var daemonFamilies = []family[*Snapshot]{
	gauge("containers", "Containers that are registered.",
		func(s *Snapshot) uint64 { return uint64(s.Containers) }),
	counter("container_registrations_total", "Containers that were registered.",
		func(s *Snapshot) uint64 { return s.Registrations }),
	counter("container_refusals_total", "Containers that the wrapper or a hook refused.",
		func(s *Snapshot) uint64 { return s.Refusals }),
	gauge("id_region_used", "User ids of the region that containers have.",
		func(s *Snapshot) uint64 { return s.IDsUsed }),
	gauge("id_region_size", "User ids in the region.",
		func(s *Snapshot) uint64 { return s.IDs }),
	gauge("syscall_listeners", "Where trapped system calls arrive: one for each process that a runtime has started in a container.",
		func(s *Snapshot) uint64 { return s.Listeners }),
	counter("syscall_listeners_refused_total", "How often what a runtime has sent was no listener, or no container's.",
		func(s *Snapshot) uint64 { return s.RefusedListeners }),
}

var workerFamilies = []family[*Worker]{
	counter("worker_restarts_total", "How often the process that serves was replaced after it had ended.",
		func(w *Worker) uint64 { return w.Restarts }),
	counter("worker_watchdog_kills_total", "How often it was killed because it did not answer.",
		func(w *Worker) uint64 { return w.Kills }),
}
