package read

import (
	"math"
	"testing"
)

func TestQuantile(t *testing.T) {
	hundred := make([]uint32, 100)
	for i := range hundred {
		hundred[i] = uint32(i + 1)
	}
	tests := []struct {
		name   string
		sorted []uint32
		q      float64
		want   uint32
	}{
		{"none", nil, 0.5, 0},
		{"one", []uint32{7}, 0.99, 7},
		{"median of an odd number", []uint32{1, 2, 9}, 0.5, 2},
		{"median of a hundred", hundred, 0.5, 51},
		{"p99 of a hundred", hundred, 0.99, 100},
		{"all of it", hundred, 1, 100},
		{"nothing of it", hundred, 0, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := quantile(tt.sorted, tt.q); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}

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

func TestSpread(t *testing.T) {
	if got, want := spread([]float64{5, 1, 4, 2, 3}), (Spread{3, 2, 4}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
