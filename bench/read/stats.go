package read

import "slices"

// quantile returns the value below which the part q of sorted lies (the nearest rank).
func quantile[T any](sorted []T, q float64) T {
	if len(sorted) == 0 {
		var zero T
		return zero
	}
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

// Spread is the median of the rounds, and the middle half of them.
type Spread struct {
	Median float64 `json:"median"`
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
}

func spread(values []float64) Spread {
	sorted := slices.Sorted(slices.Values(values))
	return Spread{quantile(sorted, 0.5), quantile(sorted, 0.25), quantile(sorted, 0.75)}
}

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

// ratios divides the values of each round of a by those of the same round of b. Rounds
// in which b has none are left out.
func ratios(a, b []slice, f func(slice) float64) Spread {
	var out []float64
	for i := range min(len(a), len(b)) {
		if d := f(b[i]); d > 0 {
			out = append(out, f(a[i])/d)
		}
	}
	return spread(out)
}

func p50(s slice) float64 { return s.P50 }

func ops1(s slice) float64 { return s.OpsPerSecond }

func tail(s slice) float64 {
	if s.P50 == 0 {
		return 0
	}
	return s.P99 / s.P50
}
