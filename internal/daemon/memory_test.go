package daemon

import "testing"

func TestMemoryIsGivenBackAfterGreatChanges(t *testing.T) {
	for _, tt := range []struct {
		before, now int
		want        bool
	}{
		{0, fewContainers, false},
		{0, fewContainers + 1, true},
		{1000, 800, false},
		{1000, 700, true},
		{1000, 0, true},
		{1000, 1200, false},
		{1000, 1400, true},
	} {
		if got := worthwhile(tt.before, tt.now); got != tt.want {
			t.Errorf("from %d to %d containers: got %v, want %v", tt.before, tt.now, got, tt.want)
		}
	}
}

func TestMemoryIsLeftAloneAfterClose(t *testing.T) {
	var m memory
	m.changed(2 * fewContainers)
	m.close()
	if m.timer == nil || m.timer.Stop() {
		t.Error("the timer runs on")
	}
	m.changed(4 * fewContainers)
	if m.timer.Stop() {
		t.Error("the timer was started again")
	}
}
