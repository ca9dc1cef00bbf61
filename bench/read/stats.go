package read

import "cloister/bench/stats"

// Spread is the median of the rounds, and the middle half of them.
type Spread = stats.Spread

// slice is what was seen of one case and target in one round.
type slice struct {
	P50, P99     float64 // µs
	OpsPerSecond float64
	ServerCPU    float64 // µs an operation
}

// over returns the values of all rounds.
func over(rounds []slice, f func(slice) float64) []float64 {
	out := make([]float64, len(rounds))
	for i, r := range rounds {
		out[i] = f(r)
	}
	return out
}

// ratios divides the values of each round of a by those of the same round of b.
func ratios(a, b []slice, f func(slice) float64) Spread {
	return stats.Ratios(over(a, f), over(b, f))
}

func p50(s slice) float64 { return s.P50 }

func ops1(s slice) float64 { return s.OpsPerSecond }

func tail(s slice) float64 {
	if s.P50 == 0 {
		return 0
	}
	return s.P99 / s.P50
}
