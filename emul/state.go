package emul

import "time"

// State is what a container's counters go on from when its daemon is started
// again. It is plain data, to be stored as JSON and not to be looked into.
//
// What was used since a State was stored is known from the cgroup; what could have
// been used is reckoned with the limits of then. So the CPU times of a daemon that is
// killed don't go back if its containers' States were stored when their limits changed.
type State struct {
	CPU  cpuClock
	VM   vmState
	Load loadAvg
}

// State returns the container's counters as of its last sample.
func (c *Container) State() State {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return State{CPU: c.view.cpu.clone(), VM: c.view.vm.state(), Load: c.view.load}
}

// valid reports whether the state was taken since the host was booted.
func (s *State) valid(now time.Duration) bool { return s.CPU.At <= now && s.Load.At <= now+loadPeriod }
