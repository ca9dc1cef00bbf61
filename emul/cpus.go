package emul

import (
	"time"

	"cloister/cgroupview"
)

// cpus is the CPU power that a container may use.
type cpus struct {
	// visible is the number of CPUs that the container sees, numbered from 0
	// in every file: those it may run on, but no more than its quota can keep
	// busy, and at least 1.
	visible int
	// physical are the CPUs it may run on.
	physical cgroupview.CPUSet
	// bandwidth is its quota, unlimited if that is no less than physical.
	bandwidth cgroupview.Bandwidth
}

func newCPUs(online cgroupview.CPUSet, u *cgroupview.Usage) cpus {
	c := cpus{physical: u.CPUs}
	if c.physical.Len() == 0 {
		c.physical = online
	}
	all := uint64(max(1, c.physical.Len()))
	if b := u.Bandwidth; b.Less(cgroupview.Bandwidth{Quota: all, Period: 1}) {
		c.bandwidth = b
		all = max(1, b.CPUs())
	}
	c.visible = int(all)
	return c
}

// number returns the host's number of a CPU that the container sees.
func (c *cpus) number(cpu int) (int, bool) {
	if cpu < 0 || cpu >= c.visible {
		return 0, false
	}
	for n := range c.physical.All() {
		if cpu == 0 {
			return n, true
		}
		cpu--
	}
	return 0, false
}

// capacity returns the CPU time, in nanoseconds, that the container may use in
// d: exactly that of its quota, not that of the CPUs it sees.
func (c *cpus) capacity(d time.Duration) uint64 {
	if c.bandwidth.Limited() {
		return c.bandwidth.In(d)
	}
	return times(uint64(c.visible), uint64(d))
}

// larger returns the one that allows more.
func larger(c, d *cpus) *cpus {
	if c.capacity(time.Second) < d.capacity(time.Second) {
		return d
	}
	return c
}

// limits returns c as it outlives the daemon.
func (c *cpus) limits() cpuLimits {
	return cpuLimits{Visible: c.visible, Physical: c.physical.String(), Bandwidth: c.bandwidth}
}

// cpus returns what limits was made of.
func (l *cpuLimits) cpus() (cpus, error) {
	physical, err := cgroupview.ParseCPUSet([]byte(l.Physical))
	return cpus{visible: l.Visible, physical: physical, bandwidth: l.Bandwidth}, err
}

// equal reports whether c and d allow the same.
func (c *cpus) equal(d *cpus) bool {
	return c.visible == d.visible && c.bandwidth == d.bandwidth && c.physical.Equal(d.physical)
}
