package emul

import "time"

// startClock is when the container started, as far as its files tell.
type startClock struct {
	// origin is the CLOCK_BOOTTIME at which the container's uptime was 0.
	origin time.Duration
	// bootOffset is the boottime offset of the container's time namespace.
	bootOffset time.Duration
}

// uptime returns the container's uptime.
func (c *startClock) uptime(now time.Duration) time.Duration { return max(0, now-c.origin) }

// btime returns the container's boot time, given the host's. It is moved by the
// offset of the container's time namespace only, as the kernel does in
// /proc/stat there: the start times in /proc/PID/stat have the same offset, and
// tools like ps add the two. Without a time namespace those times count from the
// host's boot, and so does btime.
func (c *startClock) btime(host int64) int64 { return host - int64(c.bootOffset/time.Second) }

// renderUptime renders /proc/uptime, fs/proc/uptime.c. The second figure is the
// idle time of all CPUs that the container sees. These are whole CPUs, so that it
// does not exceed their number times the uptime and an idle container shows as
// one; with a quota that is a fraction, /proc/stat counts less.
func renderUptime(dst []byte, v *view, in input) []byte {
	dst = appendHundredths(dst, uint64(v.clock.uptime(in.now))/tick)
	dst = appendHundredths(append(dst, ' '), v.cpu.Visible.Total/tick)
	return append(dst, '\n')
}
