package emul

import (
	"os"

	"cloister/cgroupview"
)

// hostCPUs are what a change of the host shows in.
type hostCPUs struct {
	online, nodes cgroupview.CPUSet
	top           cgroupview.CPUSet // those that no partition has
}

// checkHost has all containers sampled if the host's CPUs or memory nodes are no longer
// those that it saw last.
func (s *resampler) checkHost() {
	c := s.anyContainer()
	if c == nil {
		return
	}
	now, err := look(c)
	if err == nil && s.differs(&now) {
		s.sampleAll()
	}
}

// differs notes what the host has, and reports whether that is something else than
// before.
func (s *resampler) differs(now *hostCPUs) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.equal(&s.seen) {
		return false
	}
	s.seen = *now
	return true
}

// look returns what the host has now, as can be seen from any container.
func look(c *Container) (now hostCPUs, err error) {
	host, err := c.host.sample.get(c.host.now())
	if err != nil {
		return now, err
	}
	now.online, now.nodes = host.value.online, host.value.nodes
	now.top, err = c.topCPUs()
	return now, err
}

func (s *resampler) anyContainer() *Container {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.containers {
		return c
	}
	return nil
}

// topCPUs returns what is the same for all containers.
func (c *Container) topCPUs() (cgroupview.CPUSet, error) {
	c.sampling.Lock()
	defer c.sampling.Unlock()
	if c.closed {
		return cgroupview.CPUSet{}, os.ErrClosed
	}
	return c.group.TopCPUs()
}

func (h *hostCPUs) equal(g *hostCPUs) bool {
	return h.online.Equal(g.online) && h.nodes.Equal(g.nodes) && h.top.Equal(g.top)
}
