package emul

import (
	"maps"
	"os"
	"slices"
	"sync"
	"time"
)

// loadSampler counts the tasks of every container once per loadPeriod, in one
// goroutine. The containers take turns: each belongs to one of loadSlots, which
// are dealt with at equal intervals.
type loadSampler struct {
	now  func() time.Duration
	stop chan struct{}
	done chan struct{}

	mu    sync.Mutex
	slots [loadSlots]map[*Container]struct{} // guarded by mu
}

const (
	loadSlots = 10

	// taskBudget is how many tasks are looked at in each loadPeriod, at some
	// 15 µs each, on a host where that is at least minTaskShare for every
	// container. Of a container that exceeds its share, the first tasks are
	// taken for the rest.
	taskBudget   = 16384
	minTaskShare = 16
)

// newLoadSampler returns one that samples while run runs.
func newLoadSampler(now func() time.Duration) *loadSampler {
	s := &loadSampler{now: now, stop: make(chan struct{}), done: make(chan struct{})}
	for i := range s.slots {
		s.slots[i] = map[*Container]struct{}{}
	}
	return s
}

func (s *loadSampler) run() {
	defer close(s.done)
	t := time.NewTicker(loadPeriod / loadSlots)
	defer t.Stop()
	for slot := 0; ; slot = (slot + 1) % loadSlots {
		select {
		case <-s.stop:
			return
		case <-t.C:
			s.sample(slot)
		}
	}
}

// close stops run and waits for its end.
func (s *loadSampler) close() {
	close(s.stop)
	<-s.done
}

// add takes a container into the emptiest slot.
func (s *loadSampler) add(c *Container) {
	s.mu.Lock()
	defer s.mu.Unlock()
	least := 0
	for i, slot := range s.slots {
		if len(slot) < len(s.slots[least]) {
			least = i
		}
	}
	s.slots[least][c] = struct{}{}
}

// remove takes a container out. It may still be sampled once, by a round that
// has begun.
func (s *loadSampler) remove(c *Container) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, slot := range s.slots {
		delete(slot, c)
	}
}

// sample counts the tasks of the containers in one slot.
func (s *loadSampler) sample(slot int) {
	containers, share := s.take(slot)
	var scratch taskScratch
	for _, c := range containers {
		select {
		case <-s.stop:
			return
		default:
			c.sampleLoad(s.now(), &scratch, share)
		}
	}
}

// take returns the containers in one slot, and how many tasks of each may be
// looked at.
func (s *loadSampler) take(slot int) (containers []*Container, share int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, slot := range s.slots {
		n += len(slot)
	}
	return slices.Collect(maps.Keys(s.slots[slot])), max(minTaskShare, taskBudget/max(1, n))
}

// sampleLoad is called once per loadPeriod. A container whose tasks cannot be
// listed keeps its figures: it is gone, or one that has no cgroup of its own.
func (c *Container) sampleLoad(now time.Duration, scratch *taskScratch, limit int) {
	_ = c.count(now, scratch, limit)
	idle := now > time.Duration(c.expires.Load())+parkAfter
	if idle && c.sampling.TryLock() { // never wait here for one container's reading
		defer c.sampling.Unlock()
		if !c.closed {
			c.park()
		}
	}
}

// count looks at up to limit tasks of the container and updates its load.
func (c *Container) count(now time.Duration, scratch *taskScratch, limit int) error {
	c.counting.Lock()
	defer c.counting.Unlock()
	if c.counter == nil {
		return os.ErrClosed
	}
	n, err := c.counter.count(scratch, limit)
	if err != nil {
		return err
	}
	forks := n.total
	if c.counter.ownNamespace() {
		forks = max(forks, n.lastPID)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	l := &c.view.load
	if all := int(c.view.usage.Pids); n.total == limit && all > limit {
		n.scale(all)
	}
	l.LastPID = max(l.LastPID, n.lastPID)
	l.Forks = max(l.Forks, forks)
	l.Switches, l.Seen = l.Switches+n.switches, n.seen
	l.update(now, n)
	return nil
}
