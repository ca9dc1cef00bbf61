package keeper

import (
	"testing"
	"time"
)

func TestBackoff(t *testing.T) {
	type end struct {
		ready    time.Duration
		byOthers bool
		want     time.Duration
	}
	const ms = time.Millisecond
	for name, ends := range map[string][]end{
		"killed":       {{1, true, 0}, {1, true, 0}, {time.Hour, true, 0}},
		"crashes":      {{ms, false, 0}, {ms, false, 100 * ms}, {ms, false, 200 * ms}, {ms, false, 400 * ms}},
		"steady again": {{ms, false, 0}, {ms, false, 100 * ms}, {steady, false, 0}, {ms, false, 100 * ms}},
		"killed between crashes": {
			{ms, false, 0}, {ms, true, 0}, {ms, false, 100 * ms},
		},
		"killed before it was ready": {{0, true, 0}, {0, true, 100 * ms}},
		"never ready": {
			{0, false, 0},
			{0, false, 100 * ms},
			{0, false, 200 * ms},
			{0, false, 400 * ms},
			{0, false, 800 * ms},
			{0, false, 1600 * ms},
			{0, false, 3200 * ms},
			{0, false, 6400 * ms},
			{0, false, maxDelay},
			{0, false, maxDelay},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var b backoff
			for i, e := range ends {
				if got := b.next(e.ready, &exit{byOthers: e.byOthers}); got != e.want {
					t.Errorf("end %d: got %v, want %v", i, got, e.want)
				}
			}
		})
	}
}

func TestFresh(t *testing.T) {
	var b backoff
	for range distrust {
		if b.next(0, &exit{}); b.fresh() { // has told an error
			t.Errorf("fresh after %d crashes, want %d", b.crashed, distrust)
		}
		b.next(0, &exit{crashed: true})
	}
	if !b.fresh() {
		t.Error("not fresh")
	}
	if b.next(1, &exit{crashed: true}); b.fresh() {
		t.Error("fresh after a worker that was ready")
	}
}
