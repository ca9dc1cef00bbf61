package emul

import (
	"testing"
	"time"
)

func TestBootClock(t *testing.T) {
	c := newBootClock()
	before := boottime()
	got := c.now()
	after := boottime()
	if got < before-time.Millisecond || got > after+time.Millisecond {
		t.Errorf("now %v, want between %v and %v", got, before, after)
	}
	c.offset.Add(-int64(time.Hour)) // as if the host had been suspended since
	c.sync()
	if got := c.now(); got < after-time.Millisecond {
		t.Errorf("after a suspension %v, want %v or later", got, after)
	}
	offset := c.offset.Load()
	for range 1000 {
		c.sync()
	}
	if c.offset.Load() != offset && boottime()-before < time.Second {
		t.Error("sync moved the clock without a suspension")
	}
}
