package seccomp

import (
	"slices"
	"time"
)

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
// interrupted, and notes what was done for it if this is the same call.
func (a *Agent) begin(r *Request) {
	c := r.listener.container
	a.mu.Lock()
	earlier := c.endOfLast(r.TID)
	c.calls = append(c.calls, r)
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
	defer a.mu.Unlock()
	if len(c.interrupted) == 0 {
		return
	}
	if n := c.interrupted[r.repeat()]; n != 0 {
		delete(c.interrupted, r.repeat())
		r.Note(n)
	}
}

// over is for the end of what begin has begun.
func (a *Agent) over(r *Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := r.listener.container
	i := slices.Index(c.calls, r)
	c.calls = slices.Delete(c.calls, i, i+1)
	if r.over != nil {
		close(r.over)
	}
}

// endOfLast returns what is closed at the end of the last call of a thread, nil if none is
// in service. Agent.mu is held.
func (c *container) endOfLast(tid int) <-chan struct{} {
	for _, r := range slices.Backward(c.calls) {
		if r.TID == tid {
			if r.over == nil {
				r.over = make(chan struct{})
			}
			return r.over
		}
	}
	return nil
}
