package read

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files")

// sample is a run of three rounds with two files. With lxcfs or without it.
func sample(withLXCFS bool) *Result {
	files := []string{"/proc/meminfo", "/sys/devices/system/cpu/online"}
	r := &Result{
		Date: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Kernel: "6.18.0", CPU: "a CPU", CPUs: 2, Cgroups: "hybrid",
		Cloister: "1.0", Rounds: 3, Slice: 50 * time.Millisecond,
		Sizes: []Size{{files[0], 1500, 1400, 0}, {files[1], 4, 4, 0}}, Empty: []string{"/proc/swaps"},
	}
	cost := [targets]float64{2, 4.5, 60}
	if withLXCFS {
		r.LXCFS = "5.0"
	}
	var all []*rounds
	for _, p := range []Placement{Pinned, Free} {
		for i, c := range cases(files, p) {
			m := &rounds{Case: c}
			for target, µs := range cost {
				if target == lxcfs && !withLXCFS {
					continue
				}
				µs += float64(i) / 10
				for round := range 3 {
					slow := µs * float64(1+round)
					m.of[target] = append(m.of[target], slice{
						P50: slow, P99: 2 * slow, OpsPerSecond: 1e6 / slow * float64(c.Threads) * 0.8, ServerCPU: float64(target) * slow / 2,
					})
				}
			}
			all = append(all, m)
			r.Cases = append(r.Cases, m.measured())
		}
	}
	r.Scaling = scaling(all)
	r.Goals = goals(r)
	return r
}

func TestPrint(t *testing.T) {
	for name, r := range map[string]*Result{"lxcfs": sample(true), "alone": sample(false)} {
		t.Run(name, func(t *testing.T) {
			var got bytes.Buffer
			if err := r.Print(&got); err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", name+".golden")
			if *update {
				if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got.String()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestJSONKeepsEverything(t *testing.T) {
	want := sample(true)
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	got := &Result{}
	if err := json.Unmarshal(text, got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Each round is twice or three times as slow as the first; the ratios are the same.
func TestMeasured(t *testing.T) {
	m := sample(true).Cases[0]
	if got, want := m.Cloister.ToKernel.Median, 4.5/2; got != want {
		t.Errorf("cloister to the kernel: got %v, want %v", got, want)
	}
	if got, want := m.LXCFSToCloister.Median, 60/4.5; got != want {
		t.Errorf("lxcfs to cloister: got %v, want %v", got, want)
	}
	if got, want := m.Cloister.P50, 9.0; got != want {
		t.Errorf("cloister's p50: got %v, want the second round's %v", got, want)
	}
}
