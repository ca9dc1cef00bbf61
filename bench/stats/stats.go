// Package stats sums up what was measured.
package stats

import "slices"

// Quantile returns the value below which the part q of sorted lies (the nearest rank).
func Quantile[T any](sorted []T, q float64) T {
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

// Of returns the spread of values in any order.
func Of(values []float64) Spread {
	sorted := slices.Sorted(slices.Values(values))
	return Spread{Quantile(sorted, 0.5), Quantile(sorted, 0.25), Quantile(sorted, 0.75)}
}

// Ratios divides the values of each round of a by those of the same round of b. Rounds
// in which b has none are left out.
func Ratios(a, b []float64) Spread {
	var out []float64
	for i := range min(len(a), len(b)) {
		if b[i] > 0 {
			out = append(out, a[i]/b[i])
		}
	}
	return Of(out)
}
