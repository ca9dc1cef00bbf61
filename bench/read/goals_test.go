package read

import (
	"testing"
	"time"
)

// result is one of two files on one CPU.
func result(dynamic, still, lxcfs, cpu, tail, scale float64) *Result {
	measured := func(file string, ratio float64) Measured {
		return Measured{
			Case:            Case{[]string{file}, Open, 1, Pinned},
			Cloister:        Figures{ServerCPU: cpu, P99ToP50: tail, ToKernel: &Spread{Median: ratio}},
			LXCFSToCloister: &Spread{Median: lxcfs},
		}
	}
	free := measured("/proc/meminfo", 1000) // goals are about one CPU
	free.Placement = Free
	return &Result{
		Cases:   []Measured{measured("/proc/stat", dynamic/2), measured("/proc/meminfo", dynamic), measured("/proc/cpuinfo", still), free},
		Scaling: []Scaling{{Op: Open, Cloister: Spread{Median: scale}}, {Op: Pread, Cloister: Spread{Median: 0.1}}},
	}
}

func TestGoals(t *testing.T) {
	tests := []struct {
		name   string
		result *Result
		missed int // which goal, -1: none
	}{
		{"all are met", result(2.5, 0.6, 10, 6, 3, 2), -1},
		{"dynamic files", result(2.6, 0.6, 10, 6, 3, 2), 0},
		{"lxcfs", result(2.5, 0.6, 9.9, 6, 3, 2), 1},
		{"pushed files", result(2.5, 0.61, 10, 6, 3, 2), 2},
		{"daemon", result(2.5, 0.6, 10, 6.1, 3, 2), 3},
		{"scaling", result(2.5, 0.6, 10, 6, 3, 1.9), 4},
		{"tail", result(2.5, 0.6, 10, 6, 3.1, 2), 5},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := goals(tt.result)
			if len(got) != 6 {
				t.Fatalf("got %d goals, want 6", len(got))
			}
			for i, g := range got {
				if want := i != tt.missed; g.Met != want {
					t.Errorf("%s, %v: got %v, want %v", g.Name, g.Value, g.Met, want)
				}
			}
			if got[0].Worst != "/proc/meminfo" {
				t.Errorf("worst dynamic file: got %s, want /proc/meminfo", got[0].Worst)
			}
		})
	}
	if got := goals(&Result{}); len(got) != 0 {
		t.Errorf("of nothing: got %+v", got)
	}
}

func TestDivide(t *testing.T) {
	for _, want := range []time.Duration{0, time.Second, 20 * time.Second, 3 * time.Minute} {
		b := &bench{Options: Options{Files: Files(), LXCFSDir: "/lxcfs", Duration: want}}
		b.divide()
		if b.rounds < minRounds || b.slice < time.Millisecond || b.slice > wantedSlice {
			t.Errorf("%v: got %d rounds with slices of %v", want, b.rounds, b.slice)
		}
		slices := time.Duration(3 * (len(cases(b.Files, Pinned)) + len(cases(b.Files, Free))))
		if got := slices * time.Duration(b.rounds+1) * (b.slice + warmUp); want >= 20*time.Second && got > want {
			t.Errorf("%v: takes %v", want, got)
		}
	}
}

func TestCasesOfFewFiles(t *testing.T) {
	for _, c := range cases([]string{"a", "b"}, Free) {
		if c.Threads > len(c.Files) {
			t.Errorf("%v: a thread has nothing to read", c)
		}
	}
}
