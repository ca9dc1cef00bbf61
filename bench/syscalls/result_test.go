package syscalls

import (
	"math"
	"strings"
	"testing"
	"time"
)

// reply has times in microseconds for each part.
func reply(views int, parts ...[]int) *Reply {
	r := &Reply{Views: views}
	for _, p := range parts {
		var times []time.Duration
		for _, µs := range p {
			times = append(times, time.Duration(µs)*time.Microsecond)
		}
		r.Parts = append(r.Parts, times)
	}
	return r
}

var twoParts = Case{Parts: []Part{{Name: "mount", Goal: 2}, {Name: "umount", Goal: 1.1}}}

// A machine that is ten times as slow in one round must not show in the ratio.
func TestRatiosAreTakenWithinARound(t *testing.T) {
	var r Rounds
	r.Add(reply(0, []int{9, 2, 1}, []int{10}), reply(0, []int{4, 3, 90}, []int{12}))
	r.Add(reply(0, []int{20}, []int{100}), reply(0, []int{40}, []int{120}))
	got := r.Sum(&twoParts)
	if len(got) != 2 || got[0].Name != "mount" || got[1].Name != "umount" {
		t.Fatalf("got %+v, want both parts", got)
	}
	for i, want := range []struct {
		ratio float64
		met   bool
	}{{2, true}, {1.2, false}} {
		if m := got[i]; math.Abs(m.Ratio.Median-want.ratio) > 1e-9 || m.Met != want.met {
			t.Errorf("%s: got %+v, want %+v", m.Name, m, want)
		}
	}
	if got[0].Plain != 20 || got[0].Cloister != 40 {
		t.Errorf("got %+v, want the medians of rounds", got[0])
	}
}

func TestGoalIsNotMetWithoutViews(t *testing.T) {
	needsViews := twoParts
	needsViews.Views = true
	for _, tt := range []struct {
		name   string
		c      *Case
		rounds []int // the views of each
		want   bool
	}{
		{"none are needed", &twoParts, []int{0}, true},
		{"there are views", &needsViews, []int{3, 3}, true},
		{"there are none", &needsViews, []int{0}, false},
		{"there are none in a later round", &needsViews, []int{3, 0}, false},
		{"there were none in an earlier round", &needsViews, []int{0, 3}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var r Rounds
			for _, views := range tt.rounds {
				r.Add(reply(0, []int{10}, []int{10}), reply(views, []int{10}, []int{10}))
			}
			for _, m := range r.Sum(tt.c) {
				if m.Met != tt.want {
					t.Errorf("got %+v, want met: %v", m, tt.want)
				}
			}
		})
	}
}

func TestLimitsAreOfTheTime(t *testing.T) {
	for _, tt := range []struct {
		part Part
		want bool
	}{
		{Part{Limit: 30}, true},
		{Part{Limit: 29}, false},
		{Part{Limit: 30, Goal: 2}, false},
		{Part{Limit: 30, Goal: 3}, true},
		{Part{}, false},
	} {
		var r Rounds
		r.Add(reply(0, []int{10}), reply(0, []int{30}))
		if m := r.Sum(&Case{Parts: []Part{tt.part}}); m[0].Met != tt.want {
			t.Errorf("got %+v, want met: %v", m[0], tt.want)
		}
	}
}

func TestPrint(t *testing.T) {
	var r Rounds
	r.Add(reply(0, []int{10}, []int{2000}, []int{1}), reply(7, []int{15}, []int{3_000_000}, []int{2}))
	c := Case{Views: true, Parts: []Part{{Name: "mount proc", Goal: 2, Sysbox: &Reference{5, 500}}, {Name: "umount proc", Limit: 2000}, {Name: "more"}}}
	var out strings.Builder
	if err := (&Result{Parts: r.Sum(&c)}).Print(&out); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimRight(out.String(), "\n"), "\n")
	for i, want := range []string{
		"more 1.00 µs 2.00 µs 2.00× 2.00× to 2.00× 7",
		"umount proc 2.00 ms 3.00 s 1500× 1500× to 1500× 2.00 ms no 7",
		"mount proc 10.00 µs 15.00 µs 1.50× 1.50× to 1.50× 2.00× yes 7 100×",
	} {
		if got := strings.Join(strings.Fields(lines[len(lines)-1-i]), " "); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
