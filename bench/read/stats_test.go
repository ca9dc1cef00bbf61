package read

import (
	"math"
	"testing"
)

// A machine that is twice as slow in one round must not show in the ratio.
func TestRatiosAreTakenWithinARound(t *testing.T) {
	a := []slice{{P50: 4}, {P50: 8}, {P50: 4.4}, {P50: 3.6}}
	b := []slice{{P50: 2}, {P50: 4}, {P50: 2.2}, {P50: 1.8}}
	s := ratios(a, b, p50)
	for _, got := range []float64{s.Low, s.Median, s.High} {
		if math.Abs(got-2) > 1e-9 {
			t.Errorf("got %+v, want 2 in every round", s)
		}
	}
	if got := ratios(a, []slice{{}, {P50: 2}}, p50); got.Median != 4 {
		t.Errorf("a round without a figure: got %+v, want the other round's 4", got)
	}
	if got := ratios(a, nil, p50); got != (Spread{}) {
		t.Errorf("without rounds: got %+v", got)
	}
}
