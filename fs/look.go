package fs

import "time"

const (
	// slotLooks is how many looks at the readers of one slot may be under way: as many as
	// the requests that are worked on.
	slotLooks = slotRenders
	// lookLimit is how long a look is waited for. Most take some microseconds.
	lookLimit = 200 * time.Millisecond
)

// look is callerAt for a reader of the slot. A container can hold up a look without an
// end: by an execve(2) that closes files, or by an epoll(7) in the place of the descriptor,
// which both wait for a FUSE server of its own. Nothing is known of such a reader then. The
// look is left alone and counts until it ends.
func (d *device) look(s *slot, tid uint32, p patience) caller {
	return s.look(lookLimit, func() caller { return callerAt(d.sb.proc, tid, p) })
}

func (s *slot) look(limit time.Duration, at func() caller) caller {
	if s.looks.Add(1) > slotLooks {
		s.looks.Add(-1)
		return caller{kind: callUnknown}
	}
	found := make(chan caller, 1)
	go func() {
		defer s.looks.Add(-1)
		found <- at()
	}()
	select {
	case c := <-found:
		return c
	case <-time.After(limit):
		return caller{kind: callUnknown}
	}
}
