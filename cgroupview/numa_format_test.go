package cgroupview

import (
	"errors"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseNUMAStat(t *testing.T) {
	page := uint64(os.Getpagesize())
	tests := []struct {
		name, text string
		v2         bool
		want       []NodeMemory
	}{
		{"empty", "", true, nil},
		{"v2", "anon N0=1 N1=2\nfile N0=3 N1=4\nworkingset_nodes N0=5 N1=6\nfuture=\nanon_thp N0=7 N1=8\n", true, []NodeMemory{
			{Node: 0, Anon: 1, File: 3, AnonThp: 7},
			{Node: 1, Anon: 2, File: 4, AnonThp: 8},
		}},
		{"v2, the numbers of nodes not dense", "anon N8=1 N255=2\n", true, []NodeMemory{{Node: 8, Anon: 1}, {Node: 255, Anon: 2}}},
		{"v1", "total=9 N0=9\nfile=9 N0=9\nanon=9 N0=9\nhierarchical_total=6 N0=6\nhierarchical_file=3 N0=1 N1=2\nhierarchical_anon=3 N0=3 N1=0\nhierarchical_unevictable=0 N0=0 N1=4\n", false, []NodeMemory{
			{Node: 0, Anon: 3 * page, File: page},
			{Node: 1, File: 2 * page, Unevictable: 4 * page},
		}},
	}
	for _, tt := range tests {
		got, err := parseNUMAStat([]byte(tt.text), nil, tt.v2)
		if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", tt.name, err, diff)
		}
	}
	for _, text := range []string{"anon 0=1\n", "anon N=1\n", "anon N0\n", "anon N0=\n", "anon N0=-1\n", "anon N1024=1\n", "anon N0=1  \n", "anon N0=1 x\n"} {
		got, err := parseNUMAStat([]byte(text), nil, true)
		if !errors.Is(err, ErrFormat) || len(got) != 0 {
			t.Errorf("%q: %v, %v, want ErrFormat", text, got, err)
		}
	}
	if _, err := parseNUMAStat([]byte("hierarchical_anon=1 N0=18446744073709551615\n"), nil, false); !errors.Is(err, ErrFormat) {
		t.Errorf("too many pages: %v, want ErrFormat", err)
	}
}

func FuzzParseNUMAStat(f *testing.F) {
	f.Add([]byte("anon N0=1 N1=2\nfile N0=3 N1=4\n"), true)
	f.Add([]byte("total=1 N0=1\nhierarchical_anon=3 N0=3 N1=0\n"), false)
	f.Fuzz(func(t *testing.T, b []byte, v2 bool) {
		nodes, _ := parseNUMAStat(b, nil, v2)
		seen := map[int]bool{}
		for _, n := range nodes {
			if seen[n.Node] || n.Node < 0 || n.Node > maxNode {
				t.Fatalf("node %d", n.Node)
			}
			seen[n.Node] = true
		}
	})
}
