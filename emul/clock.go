package emul

import (
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// bootClock tells CLOCK_BOOTTIME at a tenth of the cost of asking the kernel. Go
// reads CLOCK_MONOTONIC without a system call, and the two differ by the time
// that the host has been suspended, which is measured with each sample.
type bootClock struct {
	base   time.Time
	offset atomic.Int64 // CLOCK_BOOTTIME at base, and suspended time since
}

func newBootClock() *bootClock {
	c := &bootClock{base: time.Now()}
	c.sync()
	return c
}

func (c *bootClock) now() time.Duration {
	return time.Since(c.base) + time.Duration(c.offset.Load())
}

// sync takes in a suspension. Smaller differences are the time between the two
// readings, and would make the clock run backwards.
func (c *bootClock) sync() {
	offset := int64(boottime() - time.Since(c.base))
	if offset-c.offset.Load() > int64(time.Millisecond) {
		c.offset.Store(offset)
	}
}

func boottime() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		panic(err) // the clock exists since Linux 2.6.39
	}
	return time.Duration(ts.Nano())
}
