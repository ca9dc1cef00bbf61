package fs

import (
	"sync/atomic"
	"time"
)

// A file that stays open, as top and vmstat keep theirs, is read from the page cache
// again and again, without a request. The sweeper has the kernel drop pages that are
// sweepAge old, every sweepPeriod: the next read comes here and may get new content.
const (
	sweepAge    = 40 * time.Millisecond
	sweepPeriod = 50 * time.Millisecond
)

// sweeper sleeps while no file is open that is read from the page cache.
type sweeper struct {
	awake atomic.Bool
	call  chan struct{} // has room for one
}

func newSweeper() sweeper { return sweeper{call: make(chan struct{}, 1)} }

// wake is called when pages have come to the page cache.
func (s *sweeper) wake() {
	if !s.awake.Load() && s.awake.CompareAndSwap(false, true) {
		s.call <- struct{}{}
	}
}

// sweepAlways sweeps until the connection is gone. It is no goroutine that answers
// requests: to drop a page may have to wait for the reply to a READ of it.
func (d *device) sweepAlways() {
	select {
	case <-time.After(d.settles - d.sb.now()):
	case <-d.ended:
		return
	}
	turns := newTurns(&d.tasks)
	for {
		select {
		case <-d.sweeper.call:
		case <-d.ended:
			return
		}
		for d.sweep(turns) {
			select {
			case <-time.After(sweepPeriod):
			case <-d.ended:
				return
			}
		}
		d.sweeper.awake.Store(false)
		if d.sweep(turns) { // what came in front of that did not wake it
			d.sweeper.wake()
		}
	}
}

// sweep reports whether pages stay that will be too old.
func (d *device) sweep(turns *turns) (more bool) {
	d.sb.stats.swept()
	before := d.sb.now() - sweepAge
	for h := range d.memory.Handles() {
		if !isLeased(h) {
			continue
		}
		id := nodeID(h.Opening().Node)
		at, errno := d.sb.placeOf(id)
		if errno != 0 { // the slot is gone: reads are to come here, and get an error
			h.SetFlags(flagLeased, 0)
			turns.take(id, func() { _ = d.invalPages(id) }, func() {})
			continue
		}
		l := at.lease()
		if !turns.isHeld(id) && l.sweep(h, before) {
			turns.take(id, func() {
				_ = d.invalPages(id)
				l.left(h)
			}, func() {})
		}
		more = more || l.keeps(h)
	}
	return more
}
