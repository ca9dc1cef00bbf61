package daemon

import "time"

// savePeriod is how often the counters of containers are saved while the daemon runs.
// A daemon that is killed and started again goes on from there: what was used since is
// known from the cgroup, and what could have been used is reckoned with the limits
// that hold then.
const savePeriod = 15 * time.Second

// saver saves the counters of the containers now and then.
type saver struct {
	stop, stopped chan struct{}
}

func startSaver(r *registry) *saver {
	s := &saver{stop: make(chan struct{}), stopped: make(chan struct{})}
	go func() {
		defer close(s.stopped)
		tick := time.NewTicker(savePeriod)
		defer tick.Stop()
		for {
			select {
			case <-s.stop:
				return
			case <-tick.C:
				s.save(r)
			}
		}
	}()
	return s
}

func (s *saver) save(r *registry) {
	for _, c := range r.all() {
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
