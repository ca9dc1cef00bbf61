package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"cloister/internal/api"
)

func TestStatusOfRestarts(t *testing.T) {
	ago := time.Now().Add(-90 * time.Second)
	for _, tt := range []struct {
		name   string
		status api.Status
		want   []string
	}{
		{"none", api.Status{}, []string{"0"}},
		{"killed", api.Status{Restarts: 2, LastExit: "was killed by SIGKILL", Served: api.ServedStats{Since: ago}}, []string{"2, the last 1m3", ": was killed by SIGKILL"}},
		{"unknown", api.Status{Restarts: 1, Served: api.ServedStats{Since: ago}}, []string{"1, the last 1m3"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := restarts(&tt.status)
			for _, want := range tt.want {
				if !strings.Contains(got, want) {
					t.Errorf("got %q, want %q in it", got, want)
				}
			}
		})
	}
}

func TestSize(t *testing.T) {
	for bytes, want := range map[uint64]string{
		0: "0 B", 1023: "1023 B", 1024: "1 KiB", 17870848: "17.04 MiB", 1 << 50: "1024 TiB",
	} {
		if got := size(bytes); got != want {
			t.Errorf("%d: got %q, want %q", bytes, got, want)
		}
	}
}

func TestStatusOfUpgrade(t *testing.T) {
	for _, tt := range []struct {
		upgrade api.Upgrade
		want    string
	}{
		{api.Upgrade{To: "/new"}, "to /new, is under way"},
		{api.Upgrade{To: "/new", Done: true, Time: time.Now()}, "to /new, 0s ago"},
		{api.Upgrade{To: "/new", Done: true, Time: time.Now(), Error: "no worker"}, "to /new, failed 0s ago: no worker"},
	} {
		if got := upgraded(&tt.upgrade); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

func TestWrapped(t *testing.T) {
	long := strings.Repeat("x", wrapWidth-2)
	for _, tt := range []struct {
		words []string
		want  [][]string
	}{
		{nil, [][]string{{"views", "-"}}},
		{[]string{"b", "a"}, [][]string{{"views", "a b"}}},
		{[]string{"a", long}, [][]string{{"views", "a " + long}}},
		{[]string{"aa", long}, [][]string{{"views", "aa"}, {"", long}}},
	} {
		if got := wrapped("views", tt.words); !slices.EqualFunc(got, tt.want, slices.Equal) {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

func TestStatusOfServed(t *testing.T) {
	s := api.ServedStats{Opens: 5, Reads: 10, Bytes: 3 << 20, Errors: 1, P50Micros: 11.6, P99Micros: 48}
	if got, want := served(&s), "5 opens, 10 reads of 3 MiB, 1 errors"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := latency(&s), "half within 12 µs, 99 % within 48 µs"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := latency(&api.ServedStats{}); got != "-" {
		t.Errorf("got %q before anything was rendered", got)
	}
}
