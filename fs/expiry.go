package fs

import (
	"slices"
	"sync"
	"time"
)

// expiry is what the kernel is to forget after a while.
type expiry struct {
	mu     sync.Mutex
	queue  []expiring      // guarded by mu; the first to expire first
	queued map[nodeID]bool // guarded by mu; what is in the queue
	call   chan struct{}
}

type expiring struct {
	node nodeID
	at   time.Duration
}

func newExpiry() expiry {
	return expiry{queued: map[nodeID]bool{}, call: make(chan struct{}, 1)}
}

// add has a node expire, at the latest. Times are added in rising order.
func (e *expiry) add(node nodeID, at time.Duration) {
	e.mu.Lock()
	if !e.queued[node] {
		e.queued[node] = true
		e.queue = append(e.queue, expiring{node, at})
	}
	e.mu.Unlock()
	select {
	case e.call <- struct{}{}:
	default:
	}
}

// take returns what has expired, and when the next will.
func (e *expiry) take(now time.Duration) (expired []expiring, wait time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	i := slices.IndexFunc(e.queue, func(x expiring) bool { return x.at > now })
	if i < 0 {
		i = len(e.queue)
	}
	expired, e.queue = e.queue[:i:i], e.queue[i:]
	for _, x := range expired {
		delete(e.queued, x.node)
	}
	if len(e.queue) == 0 {
		return expired, time.Hour
	}
	return expired, e.queue[0].at - now
}

// expireAlways has the kernel forget until the connection is gone.
func (d *device) expireAlways() {
	turns := newTurns(&d.tasks)
	for {
		expired, wait := d.expiry.take(d.sb.now())
		for _, x := range expired {
			if turns.isHeld(x.node) {
				d.expiry.add(x.node, d.sb.now()+max(d.sb.maxStale, turnLimit))
				continue
			}
			turns.take(x.node, func() { _ = d.invalPages(x.node) }, func() {})
		}
		select {
		case <-time.After(wait):
		case <-d.expiry.call:
		case <-d.ended:
			return
		}
	}
}
