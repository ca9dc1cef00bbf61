package stats

import "testing"

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
			if got := Quantile(tt.sorted, tt.q); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}

func TestSpread(t *testing.T) {
	if got, want := Of([]float64{5, 1, 4, 2, 3}), (Spread{3, 2, 4}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestRatiosLeaveOutRoundsWithoutAFigure(t *testing.T) {
	if got, want := Ratios([]float64{9, 4, 6}, []float64{0, 2, 3, 1}), (Spread{2, 2, 2}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := Ratios([]float64{1}, nil); got != (Spread{}) {
		t.Errorf("without rounds: got %+v", got)
	}
}
