package mounter

import (
	"sync"
	"time"
)

// limit is how much of something a container may have at a time.
type limit struct {
	each int

	mu     sync.Mutex
	queues map[string]*queue // guarded by mu
}

// queue is a container's.
type queue struct {
	places chan struct{}
	users  int // who have a place or wait for one; guarded by limit.mu
}

// enter waits for a place until the deadline. leave gives it back.
func (l *limit) enter(container string, deadline time.Time) (leave func(), ok bool) {
	l.mu.Lock()
	q := l.queues[container]
	if q == nil {
		q = &queue{places: make(chan struct{}, l.each)}
		l.queues[container] = q
	}
	q.users++
	l.mu.Unlock()
	late := time.NewTimer(time.Until(deadline))
	defer late.Stop()
	select {
	case q.places <- struct{}{}:
		return func() {
			<-q.places
			l.exit(container, q)
		}, true
	case <-late.C:
		l.exit(container, q)
		return nil, false
	}
}

func (l *limit) exit(container string, q *queue) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if q.users--; q.users == 0 {
		delete(l.queues, container)
	}
}
