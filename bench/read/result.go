package read

import (
	"time"

	"cloister/bench/stats"
)

// Result is a whole run.
type Result struct {
	Date     time.Time `json:"date"`
	Kernel   string    `json:"kernel"`
	CPU      string    `json:"cpu"`
	CPUs     int       `json:"cpus"`
	Cgroups  string    `json:"cgroups"`
	Cloister string    `json:"cloister"`
	LXCFS    string    `json:"lxcfs,omitempty"`
	Rounds   int       `json:"rounds"`
	// Slice is how long each target is read before it is another's turn.
	Slice time.Duration `json:"sliceNs"`
	Sizes []Size        `json:"sizes"`
	// Empty are files that were to be measured, but have no content in the container
	// or on the host.
	Empty []string   `json:"empty,omitempty"`
	Cases []Measured `json:"cases"`
	// Scaling is the throughput of four threads on different files over that of one.
	Scaling []Scaling `json:"scaling"`
	Goals   []Goal    `json:"goals"`
}

// Size is how long a file is, in bytes.
type Size struct {
	File     string `json:"file"`
	Kernel   int    `json:"kernel"`
	Cloister int    `json:"cloister"`
	LXCFS    int    `json:"lxcfs,omitempty"`
}

// Measured is what a case has come to.
type Measured struct {
	Case
	Kernel   Figures  `json:"kernel"`
	Cloister Figures  `json:"cloister"`
	LXCFS    *Figures `json:"lxcfs,omitempty"`
	// LXCFSToCloister is how many times as long lxcfs takes.
	LXCFSToCloister *Spread `json:"lxcfsToCloister,omitempty"`
}

// Figures are medians of the rounds. Times are in microseconds.
type Figures struct {
	P50          float64 `json:"p50"`
	P99          float64 `json:"p99"`
	P99ToP50     float64 `json:"p99ToP50"`
	OpsPerSecond float64 `json:"opsPerSecond"`
	// ServerCPU is the CPU time of the server for each read; the kernel has none.
	ServerCPU float64 `json:"serverCpu,omitempty"`
	// ToKernel is how many times as long as the kernel's own it takes, by p50; with
	// more than one thread, by throughput.
	ToKernel *Spread `json:"toKernel,omitempty"`
}

// Scaling is the throughput of four threads over that of one, in the same round.
type Scaling struct {
	Op       Op      `json:"op"`
	Kernel   Spread  `json:"kernel"`
	Cloister Spread  `json:"cloister"`
	LXCFS    *Spread `json:"lxcfs,omitempty"`
}

// rounds is what was seen of a case: each target's rounds.
type rounds struct {
	Case
	of [targets][]slice
}

// The targets, in the order of the columns.
const (
	kernel = iota
	cloister
	lxcfs
	targets
)

// targetNames are the names of the targets, and of their directories.
var targetNames = [targets]string{"kernel", "cloister", "lxcfs"}

// measured sums the rounds up.
func (r *rounds) measured() Measured {
	m := Measured{Case: r.Case, Kernel: figures(r.of[kernel]), Cloister: figures(r.of[cloister])}
	m.Cloister.ToKernel = r.times(cloister, kernel)
	if len(r.of[lxcfs]) > 0 {
		f := figures(r.of[lxcfs])
		f.ToKernel = r.times(lxcfs, kernel)
		m.LXCFS, m.LXCFSToCloister = &f, r.times(lxcfs, cloister)
	}
	return m
}

// times returns how many times as long as b a read of a takes.
func (r *rounds) times(a, b int) *Spread {
	var s Spread
	if r.Threads == 1 {
		s = ratios(r.of[a], r.of[b], p50)
	} else {
		s = ratios(r.of[b], r.of[a], ops1)
	}
	return &s
}

func figures(all []slice) Figures {
	median := func(f func(slice) float64) float64 { return stats.Of(over(all, f)).Median }
	return Figures{
		P50: median(p50), P99: median(func(s slice) float64 { return s.P99 }), P99ToP50: median(tail),
		OpsPerSecond: median(ops1), ServerCPU: median(func(s slice) float64 { return s.ServerCPU }),
	}
}

// scaling compares four threads with one, each on the same four files.
func scaling(all []*rounds) []Scaling {
	var out []Scaling
	for _, many := range all {
		one := many.Case
		one.Threads = 1
		if many.Threads == 1 || many.Files[0] == many.Files[len(many.Files)-1] {
			continue
		}
		for _, r := range all {
			if !r.equal(one) {
				continue
			}
			s := Scaling{
				Op: many.Op, Kernel: ratios(many.of[kernel], r.of[kernel], ops1),
				Cloister: ratios(many.of[cloister], r.of[cloister], ops1),
			}
			if len(many.of[lxcfs]) > 0 {
				l := ratios(many.of[lxcfs], r.of[lxcfs], ops1)
				s.LXCFS = &l
			}
			out = append(out, s)
		}
	}
	return out
}
