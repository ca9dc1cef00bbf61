package syscalls

import (
	"slices"
	"time"

	"cloister/bench/stats"
)

// Result is a whole run.
type Result struct {
	Date    time.Time  `json:"date"`
	Kernel  string     `json:"kernel"`
	CPUs    int        `json:"cpus"`
	Runtime string     `json:"runtime"`
	Rounds  int        `json:"rounds"`
	Parts   []Measured `json:"parts"`
}

// Measured is what a part has come to. Times are medians of the rounds, in microseconds.
type Measured struct {
	Part
	Plain    float64 `json:"plain"`
	Cloister float64 `json:"cloister"`
	// Ratio is how many times as long as the plain container cloister's takes.
	Ratio stats.Spread `json:"ratio"`
	// Views are how many are over what cloister's container has mounted.
	Views int  `json:"views,omitempty"`
	Met   bool `json:"met"`
}

// Rounds are the times of a case, a figure for each part and round.
type Rounds struct {
	Plain, Cloister [][]float64
	Views           int // in the round that had the fewest
}

// Add takes the times of a round.
func (r *Rounds) Add(plain, cloister *Reply) {
	if r.Cloister == nil || cloister.Views < r.Views {
		r.Views = cloister.Views
	}
	add := func(to *[][]float64, parts [][]time.Duration) {
		if *to == nil {
			*to = make([][]float64, len(parts))
		}
		for i, times := range parts {
			(*to)[i] = append((*to)[i], median(times))
		}
	}
	add(&r.Plain, plain.Parts)
	add(&r.Cloister, cloister.Parts)
}

// Sum returns what the parts of a case have come to. A mount without the views that it
// should have meets no goal, however fast it is.
func (r *Rounds) Sum(c *Case) []Measured {
	var out []Measured
	for i, p := range c.Parts {
		m := Measured{
			Part: p, Plain: stats.Of(r.Plain[i]).Median, Cloister: stats.Of(r.Cloister[i]).Median,
			Ratio: stats.Ratios(r.Cloister[i], r.Plain[i]), Views: r.Views,
		}
		m.Met = p.HasGoal() && (p.Goal == 0 || m.Ratio.Median <= p.Goal) && (p.Limit == 0 || m.Cloister <= p.Limit) &&
			(r.Views > 0 || !c.Views)
		out = append(out, m)
	}
	return out
}

// median returns the median in microseconds.
func median(times []time.Duration) float64 {
	return float64(stats.Quantile(slices.Sorted(slices.Values(times)), 0.5)) / 1e3
}
