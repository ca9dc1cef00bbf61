package daemon

import (
	"slices"
	"sync"
	"time"
)

// savePeriod is how often the counters of containers are saved while the daemon runs,
// unless their CPU limits change. A daemon that is killed and started again goes on from
// there: what was used since is known from the cgroup, and what could have been used is
// reckoned with the limits that were saved.
const savePeriod = 15 * time.Second

// saver saves the counters of the containers now and then.
type saver struct {
	stop, stopped chan struct{}
	wake          chan struct{} // has room for one: there are some in changed

	mu      sync.Mutex
	changed []*container // guarded by mu
}

func startSaver(r *registry) *saver {
	s := &saver{stop: make(chan struct{}), stopped: make(chan struct{}), wake: make(chan struct{}, 1)}
	go func() {
		defer close(s.stopped)
		tick := time.NewTicker(savePeriod)
		defer tick.Stop()
		for {
			select {
			case <-s.stop:
				return
			case <-s.wake:
				s.save(r, s.takeChanged())
			case <-tick.C:
				s.save(r, r.all())
			}
		}
	}()
	return s
}

// soon has the counters of a container saved. It waits for nothing.
func (s *saver) soon(c *container) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.Contains(s.changed, c) {
		return
	}
	s.changed = append(s.changed, c)
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *saver) takeChanged() []*container {
	s.mu.Lock()
	defer s.mu.Unlock()
	changed := s.changed
	s.changed = nil
	return changed
}

func (s *saver) save(r *registry, containers []*container) {
	for _, c := range containers {
		select {
		case <-s.stop:
			return
		default:
		}
		if err := r.saveState(c); err != nil { // the next try may find room on the disk
			r.views.log.Error().Str("cid", c.ID).Err(err).Msg("counters are not saved")
		}
	}
}

// close waits for what is being saved.
func (s *saver) close() {
	close(s.stop)
	<-s.stopped
}

// saveState saves a container with its counters.
func (r *registry) saveState(c *container) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase != running {
		return nil
	}
	if s := r.views.state(c.Slot); s != nil {
		c.State = s
	}
	return r.store.put(&c.record)
}
