package cgroupview

import (
	"errors"
	"math"
	"testing"
	"time"
)

func TestBandwidth(t *testing.T) {
	half := Bandwidth{Quota: 50000, Period: 100000}
	alsoHalf := Bandwidth{Quota: 1000, Period: 2000}
	third := Bandwidth{Quota: 100000, Period: 300000}
	none := Bandwidth{}
	for _, tt := range []struct {
		a, b Bandwidth
		want bool
	}{
		{half, none, true},
		{none, half, false},
		{none, none, false},
		{third, half, true},
		{half, third, false},
		{half, alsoHalf, false},
		{Bandwidth{math.MaxUint64, 2}, Bandwidth{math.MaxUint64, 1}, true},
	} {
		if got := tt.a.Less(tt.b); got != tt.want {
			t.Errorf("%v.Less(%v) = %v, want %v", tt.a, tt.b, got, tt.want)
		}
	}
}

func TestBandwidthCPUs(t *testing.T) {
	for b, want := range map[Bandwidth]uint64{
		{1000, 100000}:   1,
		{100000, 100000}: 1,
		{100001, 100000}: 2,
		{150000, 100000}: 2,
		{0, 100000}:      0,
	} {
		if got := b.CPUs(); got != want {
			t.Errorf("%v.CPUs() = %d, want %d", b, got, want)
		}
	}
}

func TestBandwidthIn(t *testing.T) {
	if got := (Bandwidth{150000, 100000}).In(time.Second); got != 1.5e9 {
		t.Errorf("1.5 CPUs in 1s = %dns", got)
	}
	if got := (Bandwidth{1, 3}).In(10); got != 3 {
		t.Errorf("1/3 CPU in 10ns = %dns, want 3ns", got)
	}
	if got := (Bandwidth{math.MaxUint64, 1}).In(math.MaxInt64); got != math.MaxUint64 {
		t.Errorf("overflow = %d, want the largest number", got)
	}
}

func TestParseCPUMax(t *testing.T) {
	for text, want := range map[string]Bandwidth{
		"max 100000\n":   {},
		"50000 100000\n": {50000, 100000},
		"1000 1000":      {1000, 1000},
	} {
		if got, err := parseCPUMax([]byte(text)); err != nil || got != want {
			t.Errorf("parseCPUMax(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "max", "max 0", "1000", "1000 0\n", "-1 100000", "1 2 3"} {
		if got, err := parseCPUMax([]byte(text)); !errors.Is(err, ErrFormat) {
			t.Errorf("parseCPUMax(%q) = %v, %v, want ErrFormat", text, got, err)
		}
	}
}

func TestParseQuotaV1(t *testing.T) {
	for text, want := range map[string]uint64{"-1\n": NoLimit, "50000\n": 50000, "0": 0} {
		if got, err := parseQuotaV1([]byte(text)); err != nil || got != want {
			t.Errorf("parseQuotaV1(%q) = %d, %v, want %d", text, got, err, want)
		}
	}
	if _, err := parseQuotaV1([]byte("x")); !errors.Is(err, ErrFormat) {
		t.Errorf("parseQuotaV1(x): %v, want ErrFormat", err)
	}
}

func FuzzParseBandwidth(f *testing.F) {
	f.Add("max 100000\n")
	f.Add("50000 100000\n")
	f.Add("-1\n")
	f.Fuzz(func(t *testing.T, text string) {
		if b, err := parseCPUMax([]byte(text)); err == nil && b.Limited() {
			if whole := b.In(time.Second) / uint64(time.Second); b.Quota < 1<<32 && whole > b.CPUs() {
				t.Fatalf("%v: %d CPUs, but the time of %d", b, b.CPUs(), whole)
			}
		}
		_, _ = parseQuotaV1([]byte(text))
	})
}
