package seccomp

import "time"

// repeat is by what a call that was interrupted is known again.
type repeat struct {
	tid  int
	call string
	abi  ABI
	args [6]uint64
}

// maxInterrupted is how many interrupted calls of a container are remembered.
const maxInterrupted = 64

func (r *Request) repeat() repeat { return repeat{r.TID, r.Call, r.ABI, r.Args} }

// interrupted remembers what was done for a caller that does not wait for its answer any
// more. A signal has interrupted the call, and the kernel or the caller itself makes it
// again, unless the runtime has asked for WAIT_KILLABLE.
func (a *Agent) interrupted(r *Request) {
	n := r.Noted()
	if n == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	c := r.listener.container
	if c.interrupted == nil {
		c.interrupted = map[repeat]uint64{}
	}
	for old := range c.interrupted {
		if len(c.interrupted) < maxInterrupted {
			break
		}
		delete(c.interrupted, old) // any: the caller may be one that never comes again
	}
	c.interrupted[r.repeat()] = n
}

// begin waits for what is still done for an earlier call of the thread, which was
// interrupted, and notes what was done for it if this is the same call. The function that
// it returns is for the end of this one.
func (a *Agent) begin(r *Request) (end func()) {
	c, done := r.listener.container, make(chan struct{})
	a.mu.Lock()
	earlier := c.calls[r.TID]
	if c.calls == nil {
		c.calls = map[int]chan struct{}{}
	}
	c.calls[r.TID] = done
	a.mu.Unlock()
	if earlier != nil {
		late := time.NewTimer(time.Until(r.Deadline))
		defer late.Stop()
		select {
		case <-earlier:
		case <-late.C:
		}
	}
	a.mu.Lock()
	n := c.interrupted[r.repeat()]
	delete(c.interrupted, r.repeat())
	a.mu.Unlock()
	if n != 0 {
		r.Note(n)
	}
	return func() {
		close(done)
		a.mu.Lock()
		defer a.mu.Unlock()
		if c.calls[r.TID] == done {
			delete(c.calls, r.TID)
		}
	}
}
