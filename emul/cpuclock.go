package emul

import (
	"math"
	"math/bits"
	"slices"
	"time"

	"cloister/cgroupview"
)

// cpuClock splits the time since the container's start, on each CPU that it
// sees, into user, system and idle time. It integrates over changing limits: at
// each sample, the CPU time that the container could have used since the last
// one is what it did use, and idle time. Nothing in it ever decreases.
//
// The fields are exported for JSON: a cpuClock outlives the daemon.
type cpuClock struct {
	// At is the time of the last sample, CLOCK_BOOTTIME.
	At time.Duration
	// Used is the CPU time of the cgroup at the last sample.
	Used cgroupview.CPUTime
	// PerCPU is that of each CPU, on v1.
	PerCPU []cgroupview.CPUTime
	// Rows are the CPUs of /proc/stat.
	Rows []cpuRow
	// Visible is the idle time of /proc/uptime, whose CPUs are whole ones
	// even if the quota is a fraction.
	Visible idleTime
	// Limits are those of the last sample.
	Limits cpuLimits

	resumed bool                 // the time from At on is still to be accounted with Limits
	lead    time.Duration        // uptime before the first interval, if the time namespace is older
	delta   []cgroupview.CPUTime // scratch, by row
}

// cpuLimits are a cpus that outlives the daemon.
type cpuLimits struct {
	Visible   int
	Physical  string // as the kernel lists them
	Bandwidth cgroupview.Bandwidth
}

// cpuRow is the time of one CPU, in nanoseconds.
type cpuRow struct {
	User, System uint64
	Idle         idleTime
}

// clone returns what outlives the daemon.
func (c *cpuClock) clone() cpuClock {
	return cpuClock{
		At: c.At, Used: c.Used, Visible: c.Visible, Limits: c.Limits,
		Rows: slices.Clone(c.Rows), PerCPU: slices.Clone(c.PerCPU),
	}
}

// idleTime is CPU time, in nanoseconds, that was there to use and was not used.
type idleTime struct {
	Total uint64
	// Debt is time used in excess of what was there, to be set off against
	// idle time to come: usage is counted in lumps of a timer tick, and a
	// quota of many CPUs may be used up in a fraction of its period.
	Debt uint64
}

// add accounts an interval. The debt carried on is cut to maxDebt, so that a
// usage that exceeded all limits does not stop the idle time for long.
func (t *idleTime) add(capacity, used, maxDebt uint64) {
	used += t.Debt
	t.Total += min(sub(capacity, used), math.MaxUint64-t.Total)
	t.Debt = min(sub(used, capacity), maxDebt)
}

// debtPeriod is the time whose capacity limits the debt: the longest quota
// period that the kernel accepts.
const debtPeriod = time.Second

// resume returns the clock that goes on from where this one is. What was accounted
// after it was stored, and shown, was so with its limits: with lower ones, some of it
// would be less.
func (c *cpuClock) resume() cpuClock {
	again := c.clone()
	again.resumed = c.Limits.Visible > 0
	return again
}

// advance accounts the interval from the last sample to now, with the usage and, but
// for a clock that was resumed, the limits of now.
func (c *cpuClock) advance(now time.Duration, cpus *cpus, u *cgroupview.Usage) {
	if c.resumed {
		c.resumed = false
		if before, err := c.Limits.cpus(); err == nil {
			c.account(now, &before, larger(&before, cpus), u)
		}
	}
	c.account(now, cpus, cpus, u)
}

// account accounts the interval to the rows of cpus, with the power of another.
func (c *cpuClock) account(now time.Duration, cpus, power *cpus, u *cgroupview.Usage) {
	elapsed := max(0, now-c.At)
	c.At = max(c.At, now)
	c.resize(cpus.visible)
	used := c.split(cpus, u)

	n := len(c.Rows)
	capacity, maxDebt := power.capacity(elapsed), power.capacity(debtPeriod)
	for i := range c.Rows {
		r, d := &c.Rows[i], c.delta[i]
		r.User += d.User
		r.System += d.System
		r.Idle.add(share(capacity, n, i), d.User+d.System, share(maxDebt, n, i))
	}
	visible := uint64(power.visible)
	c.Visible.add(times(visible, uint64(elapsed)+uint64(c.lead)), used, visible*uint64(debtPeriod))
	c.lead = 0
}

// split sets delta to the CPU time that each row has used since the last sample,
// and returns their sum. Time that is known by CPU goes to the row of that CPU,
// provided that the rows stand for CPUs: with a quota below the number of CPUs
// they do not. All other time is spread evenly.
func (c *cpuClock) split(cpus *cpus, u *cgroupview.Usage) (used uint64) {
	user, system := sub(u.CPUTime.User, c.Used.User), sub(u.CPUTime.System, c.Used.System)
	c.Used = u.CPUTime
	used = user + system
	clear(c.delta)
	if !cpus.bandwidth.Limited() && len(c.PerCPU) == len(u.PerCPU) {
		row := 0
		for cpu := range cpus.physical.All() {
			if cpu >= len(u.PerCPU) || row == len(c.delta) {
				break
			}
			d := &c.delta[row]
			d.User = min(sub(u.PerCPU[cpu].User, c.PerCPU[cpu].User), user)
			d.System = min(sub(u.PerCPU[cpu].System, c.PerCPU[cpu].System), system)
			user -= d.User
			system -= d.System
			row++
		}
	}
	c.PerCPU = append(c.PerCPU[:0], u.PerCPU...)
	for i := range c.delta {
		c.delta[i].User += share(user, len(c.delta), i)
		c.delta[i].System += share(system, len(c.delta), i)
	}
	return used
}

// resize brings the clock to n rows. The time of a row that goes is handed to
// those that stay, so that the sum over all rows still only grows; it is handed
// over in whole ticks, so that this is true of the sum of what is printed too.
func (c *cpuClock) resize(n int) {
	for _, gone := range c.Rows[min(n, len(c.Rows)):] {
		for i := range n {
			r := &c.Rows[i]
			r.User += shareTicks(gone.User, n, i)
			r.System += shareTicks(gone.System, n, i)
			r.Idle.Total += shareTicks(gone.Idle.Total, n, i)
		}
	}
	c.Rows = slices.Grow(c.Rows, max(0, n-len(c.Rows)))
	for i := len(c.Rows); i < n; i++ {
		c.Rows = append(c.Rows, cpuRow{})
	}
	c.Rows = c.Rows[:n]
	c.delta = slices.Grow(c.delta[:0], n)[:n]
}

// times multiplies, up to the greatest number that there is: whoever makes a time
// namespace chooses how long its host has been up.
func times(a, b uint64) uint64 {
	high, low := bits.Mul64(a, b)
	if high != 0 {
		return math.MaxUint64
	}
	return low
}

// share returns part i of v cut into n parts.
func share(v uint64, n, i int) uint64 {
	part := v / uint64(n)
	if uint64(i) < v%uint64(n) {
		part++
	}
	return part
}

// shareTicks is share in whole ticks; part 0 gets what is less than a tick.
func shareTicks(ns uint64, n, i int) uint64 {
	part := share(ns/tick, n, i) * tick
	if i == 0 {
		part += ns % tick
	}
	return part
}
