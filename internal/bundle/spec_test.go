package bundle

import (
	"encoding/json"
	"flag"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/runtime-spec/specs-go"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestSpecGolden(t *testing.T) {
	for name, o := range map[string]*Options{
		"default": {Name: "web", Command: []string{"/bin/sh"}},
		"full": {
			Name: "web", Command: []string{"top", "-b"}, Rootfs: "/srv/root", Privileged: true, Terminal: true, Term: "screen",
			Limits:  Limits{Memory: 256 << 20, CPUs: 500, CPUSet: cpuSet(t, "0-1")},
			Volumes: []Volume{{Source: "/srv/deep", Target: "/data/deep", ReadOnly: true}, {Source: "/srv/data", Target: "/data"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := json.MarshalIndent(Spec(o), "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", name+".json")
			if *update {
				if err := os.WriteFile(path, append(got, '\n'), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.TrimSpace(string(want)), string(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestSpecMemory(t *testing.T) {
	memory := func(limit, swap int64) *specs.LinuxMemory { return &specs.LinuxMemory{Limit: &limit, Swap: &swap} }
	for _, tt := range []struct {
		name   string
		limits Limits
		want   *specs.LinuxMemory
	}{
		{"none", Limits{}, nil},
		{"as much swap", Limits{Memory: 100}, memory(100, 200)},
		{"more than can be doubled", Limits{Memory: 5 << 60}, memory(5<<60, math.MaxInt64)},
		{"no swap", Limits{Memory: 100, MemorySwap: 100}, memory(100, 100)},
		{"unlimited swap", Limits{Memory: 100, MemorySwap: Unlimited}, memory(100, -1)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := Spec(&Options{Limits: tt.limits}).Linux.Resources.Memory
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestValidate(t *testing.T) {
	for _, tt := range []struct {
		name string
		o    Options
		want string // in the error, "" for none
	}{
		{"nothing", Options{}, ""},
		{"memory", Options{Limits: Limits{Memory: 6 << 20, MemorySwap: 6 << 20}}, ""},
		{"unlimited swap", Options{Limits: Limits{Memory: 6 << 20, MemorySwap: Unlimited}}, ""},
		{"too little memory", Options{Limits: Limits{Memory: 6<<20 - 1}}, "--memory:"},
		{"swap alone", Options{Limits: Limits{MemorySwap: 6 << 20}}, "--memory-swap:"},
		{"too little swap", Options{Limits: Limits{Memory: 8 << 20, MemorySwap: 6 << 20}}, "--memory-swap:"},
		{"two volumes", Options{Volumes: []Volume{{"/a", "/x", true}, {"/b", "/y", true}}}, ""},
		{"same target", Options{Volumes: []Volume{{"/a", "/x", true}, {"/b", "/x/", true}}}, "two for /x"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.o.Validate()
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func cpuSet(t *testing.T, list string) (s CPUSet) {
	t.Helper()
	if err := s.UnmarshalText([]byte(list)); err != nil {
		t.Fatal(err)
	}
	return s
}
