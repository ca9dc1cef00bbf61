package emul

import (
	"math"
	"testing"
	"time"

	"cloister/cgroupview"
)

// An uptime that times the number of CPUs is more than fits in 64 bits of
// nanoseconds: idle time stays at the greatest number.
func TestIdleTimeDoesNotWrap(t *testing.T) {
	c := cpuClock{lead: math.MaxInt64 - time.Hour}
	for i := range 3 {
		c.advance(time.Duration(i+1)*2*time.Hour, &cpus{visible: 4}, &cgroupview.Usage{})
		if c.Visible.Total != math.MaxUint64 {
			t.Errorf("sample %d: %d ns idle", i, c.Visible.Total)
		}
	}
}
