package emul

import (
	"errors"
	"iter"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"cloister/cgroupview"
)

// resampler samples containers that want to be told of changes, so that they are though
// nobody reads. It does so when the limits of a container or of a cgroup above it have
// been written to, and when the host's CPUs or memory nodes have changed, for which it
// looks every hostPeriod. A container that can't be watched, or whose sample has failed,
// is sampled every pollPeriod. As long as nothing of the kind happens a container
// costs nothing.
//
// Not noticed is, until the next read, a change that neither raises an event nor shows at
// the root: CPUs that another cgroup below the same parent has made its partition of.
type resampler struct {
	host       *Host
	wake       chan struct{} // holds one
	stop, done chan struct{}

	mu         sync.Mutex
	seen       hostCPUs                // by the last check, or before the first container; guarded by mu
	watcher    *cgroupview.Watcher     // guarded by mu; nil before the first container
	containers map[*Container]struct{} // guarded by mu
	due        map[*Container]struct{} // to be sampled now; guarded by mu
	polled     map[*Container]struct{} // to be sampled with every tick; guarded by mu
}

const (
	pollPeriod = time.Second
	hostPeriod = 10 * pollPeriod
)

func startResampler(h *Host) *resampler {
	s := &resampler{
		host: h, wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}),
		containers: map[*Container]struct{}{}, due: map[*Container]struct{}{}, polled: map[*Container]struct{}{},
	}
	go s.run()
	return s
}

func (s *resampler) run() {
	defer close(s.done)
	t := time.NewTicker(pollPeriod)
	defer t.Stop()
	for tick := 1; ; {
		select {
		case <-s.stop:
			return
		case <-s.wake:
			s.sampleDue()
			// Limits come in several writes. Whoever writes them on and on causes no more than
			// one sample in each period.
			select {
			case <-time.After(DefaultPeriod):
			case <-s.stop:
				return
			}
		case <-t.C:
			if tick%int(hostPeriod/pollPeriod) == 0 {
				s.checkHost()
			}
			tick++
			s.poll()
		}
	}
}

// close stops the goroutines and waits for them.
func (s *resampler) close() {
	s.mu.Lock()
	watcher := s.watcher
	s.mu.Unlock()
	if watcher != nil {
		watcher.Close()
	}
	close(s.stop)
	<-s.done
}

// add has a container sampled when it may have changed, from now on. Precondition: no
// one else uses the container.
func (s *resampler) add(c *Container) {
	if s.anyContainer() == nil { // checkHost has had nothing to look at
		if host, err := look(c); err == nil {
			s.differs(&host)
		}
	}
	watch, err := s.watch(c)
	s.mu.Lock()
	defer s.mu.Unlock()
	c.watch, c.unwatched = watch, err
	s.containers[c] = struct{}{}
	if err != nil {
		s.polled[c] = struct{}{}
	}
}

func (s *resampler) watch(c *Container) (*cgroupview.Watch, error) {
	watcher, err := s.openWatcher()
	if err != nil {
		return nil, err
	}
	return watcher.Add(c.group, func() { s.sampleSoon(c) }) // which takes mu
}

func (s *resampler) openWatcher() (_ *cgroupview.Watcher, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.watcher == nil {
		s.watcher, err = cgroupview.NewWatcher()
	}
	return s.watcher, err
}

// remove takes a container out. It may still be sampled once, by a round that has begun.
func (s *resampler) remove(c *Container) {
	if c.watch != nil {
		c.watch.Close()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.containers, c)
	delete(s.due, c)
	delete(s.polled, c)
}

// sampleSoon has containers sampled. It waits for nothing.
func (s *resampler) sampleSoon(containers ...*Container) {
	s.mu.Lock()
	for _, c := range containers {
		s.due[c] = struct{}{}
	}
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default: // it is to wake up already
	}
}

// sampleDue samples the containers that are due.
func (s *resampler) sampleDue() {
	s.mu.Lock()
	due := s.due
	s.due = map[*Container]struct{}{}
	s.mu.Unlock()
	s.sample(maps.Keys(due))
}

// poll samples the containers that nobody tells of.
func (s *resampler) poll() {
	s.mu.Lock()
	polled := slices.Collect(maps.Keys(s.polled))
	s.mu.Unlock()
	s.sample(slices.Values(polled))
}

func (s *resampler) sample(containers iter.Seq[*Container]) {
	for c := range containers {
		select {
		case <-s.stop:
			return
		default:
			s.sampled(c, c.resample())
		}
	}
}

// sampled notes whether a container is to be sampled again without an event.
func (s *resampler) sampled(c *Container, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, open := s.containers[c]
	gone := errors.Is(err, cgroupview.ErrGone) || errors.Is(err, os.ErrClosed)
	if open && !gone && (err != nil || c.unwatched != nil) {
		s.polled[c] = struct{}{}
	} else {
		delete(s.polled, c)
	}
}

// sampleAll has all containers sampled.
func (s *resampler) sampleAll() {
	s.mu.Lock()
	all := slices.Collect(maps.Keys(s.containers))
	s.mu.Unlock()
	s.sampleSoon(all...)
}
