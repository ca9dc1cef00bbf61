package seccomp

import (
	"slices"
	"time"

	"github.com/rs/zerolog"

	"cloister/internal/sys"
)

// listener is one that is served. At any time it is armed in the poller, or in one of
// the queues, or with the goroutine that the poller has told of it: only who has it
// may change that.
type listener struct {
	Listener
	*container
	id    uint64 // of the poller
	key   uint64 // of the journal
	fd    *sys.FD
	using int  // its calls in service, guarded by Agent.mu
	over  bool // guarded by Agent.mu
}

// container bounds what one may use.
type container struct {
	log      zerolog.Logger
	mappings lastMappings
	// All guarded by Agent.mu.
	listeners   int
	serving     int
	waiting     []*listener // for another call to be answered
	calls       []*Request  // in service, the first that came first
	interrupted map[repeat]uint64
	last        map[int]last // by threads
}

// register makes the listener known.
func (a *Agent) register(l Listener) *listener {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.containers[l.Container]
	if c == nil {
		// A container that provokes messages must not fill the log.
		few := &zerolog.BurstSampler{Burst: 5, Period: time.Minute}
		c = &container{log: a.options.Log.With().Str("container", l.Container).Logger().Sample(few)}
		a.containers[l.Container] = c
	}
	c.listeners++
	a.lastID++
	added := &listener{Listener: l, container: c, id: a.lastID, key: listenerKey(l.Name), fd: l.FD}
	a.listeners[added.id] = added
	return added
}

// unregister is its opposite, with a.mu held.
func (a *Agent) unregister(l *listener) {
	delete(a.listeners, l.id)
	if l.listeners--; l.listeners == 0 {
		delete(a.containers, l.Container)
	}
}

func (a *Agent) listener(id uint64) *listener {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.listeners[id]
}

// taken is a place for a call of a listener.
type taken struct {
	*listener
	slot  *slot
	index int
}

// take returns a place for a call, or puts the listener into a queue.
func (a *Agent) take(l *listener) (taken, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch last := len(a.free) - 1; {
	case a.closing: // it is the successor's
		return taken{}, false
	case l.serving >= perContainer:
		l.waiting = append(l.waiting, l)
		return taken{}, false
	case last < 0:
		a.starved = append(a.starved, l)
		return taken{}, false
	default:
		i := a.free[last]
		a.free = a.free[:last]
		return a.use(l, i), true
	}
}

// use counts a call in, with a.mu held.
func (a *Agent) use(l *listener, i int) taken {
	l.serving++
	l.using++
	return taken{l, &a.journal.slots[i], i}
}

// arm lets the listener wait for its next call, or for its turn.
func (a *Agent) arm(l *listener) {
	a.mu.Lock()
	full := l.serving >= perContainer
	if full {
		l.waiting = append(l.waiting, l)
	}
	a.mu.Unlock()
	if !full {
		a.poll(l)
	}
}

func (a *Agent) poll(l *listener) {
	if err := a.poller.Arm(l.fd, l.id); err != nil {
		a.options.Log.Error().Err(err).Str("container", l.Container).
			Msg("a listener is not served any more: restart the daemon")
	}
}

// release gives a place back, and those their turn who have waited for it.
func (a *Agent) release(t taken) {
	t.slot.clear()
	a.mu.Lock()
	a.free = append(a.free, t.index)
	t.serving--
	t.using--
	over := t.over && t.using == 0
	if over {
		a.unregister(t.listener)
	}
	// As many as there are places: if only one were told, and its caller was killed, the
	// others would wait for the end of a call that never comes.
	places := perContainer - t.serving
	if t.serving == 0 {
		places = len(t.waiting)
	}
	next := slices.Concat(cut(&t.waiting, places), cut(&a.starved, len(a.free)))
	a.mu.Unlock()
	for _, l := range next {
		a.poll(l)
	}
	if over {
		a.finish(t.listener)
	}
}

// cut takes the first n out of a queue.
func cut(queue *[]*listener, n int) []*listener {
	n = max(0, min(n, len(*queue)))
	first := slices.Clone((*queue)[:n])
	*queue = slices.Delete(*queue, 0, n)
	return first
}

// end is for a listener whose users have all ended. Calls that are still in service
// have lost their callers, but their handlers still ask the listener whether they have.
func (a *Agent) end(l *listener) {
	if err := a.poller.Remove(l.fd); err != nil {
		a.options.Log.Error().Err(err).Str("container", l.Container).Msg("end of a seccomp listener")
	}
	a.mu.Lock()
	l.over = true
	now := l.using == 0
	if now {
		a.unregister(l)
	}
	a.mu.Unlock()
	if now {
		a.finish(l)
	}
}

func (a *Agent) finish(l *listener) {
	_ = l.fd.Close() // nobody is left to hear of it
	l.mappings.put(0, nil)
	if a.options.Ended != nil {
		a.options.Ended(l.Listener)
	}
}
