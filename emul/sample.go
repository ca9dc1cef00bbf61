package emul

import (
	"os"
	"time"

	"cloister/cgroupview"
)

// refresh sees to it that the view is no more than one period old at the time
// now.
func (c *Container) refresh(now time.Duration) error {
	if c.fresh(now) {
		return nil
	}
	c.sampling.Lock()
	defer c.sampling.Unlock()
	if c.fresh(now) {
		return nil
	}
	return c.sample(now)
}

// resample takes a sample of the container's cgroup as it is now, however fresh the
// view is.
func (c *Container) resample() error {
	c.sampling.Lock()
	defer c.sampling.Unlock()
	return c.sample(c.host.now())
}

// sample takes a sample. Precondition: c.sampling is held.
func (c *Container) sample(now time.Duration) error {
	if c.closed {
		return os.ErrClosed
	}
	host, err := c.host.sample.get(now)
	if err != nil {
		return err
	}
	usage := c.host.usages.Get().(*cgroupview.Usage)
	defer c.host.usages.Put(usage)
	err = c.group.Read(usage)
	c.hold(now)
	if err != nil {
		return err
	}
	c.mu.Lock()
	differs := c.view.take(c.host.now(), &host.value, usage)
	c.mu.Unlock()
	c.expires.Store(int64(host.at + c.host.period))
	c.tell(differs)
	return nil
}

// fresh reports whether the view is no more than one period old.
func (c *Container) fresh(now time.Duration) bool { return int64(now) < c.expires.Load() }

// tell calls those who want to know what a sample has shown.
func (c *Container) tell(differs difference) {
	if differs.limits && c.limitsChanged != nil {
		c.limitsChanged()
	}
	if differs.machine && c.changed != nil {
		c.changed()
	}
}

// difference tells a sample from the one before, usage apart.
type difference struct {
	limits  bool // a State from before has other CPU limits
	machine bool // what stable files are made of
}

// take makes a new sample the current one. It swaps *u for the usage of the last
// sample, whose memory can be used again.
func (v *view) take(now time.Duration, host *hostSample, u *cgroupview.Usage) (differs difference) {
	last, first, stored := v.machine(), v.sample == 0, v.sample > 0 || v.cpu.resumed
	v.usage, *u = *u, v.usage
	v.sample++
	v.at, v.host = now, host
	v.memory = newMemory(host.meminfo, &v.usage)
	v.cpus = newCPUs(host.online, &v.usage)
	v.nodes = newNodes(host.nodes, &v.usage)
	v.cpu.advance(now, &v.cpus, &v.usage)
	v.vm.advance(&v.usage)
	machine := v.machine()
	if !machine.cpus.equal(&last.cpus) {
		v.cpu.Limits = v.cpus.limits()
		differs.limits = stored
	}
	differs.machine = !first && !machine.equal(&last)
	return differs
}

// machine is what of a sample stable files are rendered from.
type machine struct {
	cpus  cpus
	nodes cgroupview.CPUSet
	host  *hostSample // of which meminfo is none of it
}

func (v *view) machine() machine { return machine{v.cpus, v.nodes, v.host} }

// equal reports whether m and n look the same, whatever part of a CPU they may use.
// The host's nodes have the same CPUs as long as both are the same.
func (m *machine) equal(n *machine) bool {
	return m.cpus.visible == n.cpus.visible && m.cpus.physical.Equal(n.cpus.physical) && m.nodes.Equal(n.nodes) &&
		(m.host == n.host || m.host.online.Equal(n.host.online) && m.host.nodes.Equal(n.host.nodes))
}
