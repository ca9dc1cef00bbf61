package daemon

import (
	"sync"
	"time"
)

const (
	beatPeriod = 250 * time.Millisecond
	// wedged is how long the goroutine that reads the requests of all containers may
	// be busy with one.
	wedged = time.Second
)

// beat tells the keeper again and again that the views are served, until stop is called.
// A worker that says so no longer is replaced.
func (d *Daemon) beat() (stop func()) {
	if d.Keeper == nil {
		return func() {}
	}
	done := make(chan struct{})
	var beating sync.WaitGroup
	beating.Go(func() {
		tick := time.NewTicker(beatPeriod)
		defer tick.Stop()
		for {
			if d.views.busy() < wedged {
				_ = d.Keeper.Alive() // its end is told otherwise
			}
			select {
			case <-tick.C:
			case <-done:
				return
			}
		}
	})
	return func() {
		close(done)
		beating.Wait()
	}
}

// busy returns for how long a tree's reader of requests has been busy with one.
func (v *views) busy() (longest time.Duration) {
	for _, t := range v.trees {
		longest = max(longest, t.server.Busy())
	}
	return longest
}
