package daemon

import (
	"fmt"
	"sync"
	"time"
)

// background does work that a container may make slow or endless, so that nobody
// waits for it.
type background struct {
	limit   time.Duration
	places  chan struct{} // holds a token for each work that runs
	closing chan struct{} // closed by close
	pending sync.WaitGroup
}

// newBackground does some works at a time, and each for no longer than limit.
func newBackground(places int, limit time.Duration) *background {
	return &background{limit: limit, places: make(chan struct{}, places), closing: make(chan struct{})}
}

// start calls work once there is a place for it, and then done with its error. A
// work that exceeds the limit is left to itself: done gets an error and its place
// goes to the next.
func (b *background) start(work func() error, done func(error)) {
	b.pending.Go(func() {
		select {
		case b.places <- struct{}{}:
		case <-b.closing:
			return
		}
		defer func() { <-b.places }()
		select {
		case <-b.closing: // which is what made the place free
			return
		default:
		}
		result := make(chan error, 1)
		go func() { result <- work() }()
		select {
		case err := <-result:
			done(err)
		case <-time.After(b.limit):
			done(fmt.Errorf("not finished within %v", b.limit))
		case <-b.closing:
		}
	})
}

// close begins no more works and waits for none: no done is called any more when it
// returns. Nothing must be started after it.
func (b *background) close() {
	close(b.closing)
	b.pending.Wait()
}
