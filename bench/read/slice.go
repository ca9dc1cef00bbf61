package read

import (
	"errors"
	"slices"
	"time"

	"cloister/bench/stats"
)

// one measures one slice.
func (b *bench) one(c Case, target int) (slice, error) {
	before, err := b.serverTime(target)
	if err != nil {
		return slice{}, err
	}
	threads := b.readers[:c.Threads]
	zero := time.Now()
	for i, r := range threads {
		j := job{op: c.Op, cpu: -1, zero: zero, begin: warmUp, end: warmUp + b.slice}
		if c.Placement == Pinned {
			j.cpu = b.cpu
		}
		for f := i; f < len(c.Files); f += c.Threads {
			j.paths = append(j.paths, place(target, c.Files[f]))
		}
		r.jobs <- j
	}
	for _, r := range threads {
		err = errors.Join(err, <-r.done)
	}
	if err != nil {
		return slice{}, err
	}
	after, err := b.serverTime(target)
	if err != nil {
		return slice{}, err
	}
	return b.sum(threads, after-before), nil
}

// sum makes the figures of a slice, in which the server has run so long.
func (b *bench) sum(threads []*reader, server time.Duration) slice {
	var all []uint32
	ops, counted := 0, 0
	for _, r := range threads {
		ops += r.loop.ops
		counted += r.loop.counted
		all = append(all, r.loop.samples...)
	}
	slices.Sort(all)
	return slice{
		P50: micros(stats.Quantile(all, 0.5)), P99: micros(stats.Quantile(all, 0.99)),
		OpsPerSecond: float64(counted) / b.slice.Seconds(),
		ServerCPU:    float64(server.Nanoseconds()) / 1e3 / float64(ops),
	}
}

func micros(ns uint32) float64 { return float64(ns) / 1e3 }

// serverTime returns what the server of a target has run; the kernel has none.
func (b *bench) serverTime(target int) (time.Duration, error) {
	switch target {
	case cloister:
		return cpuTime(b.Cloister.PID)
	case lxcfs:
		return cpuTime(b.LXCFS.PID)
	}
	return 0, nil
}
