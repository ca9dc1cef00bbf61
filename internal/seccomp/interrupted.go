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

// last is a call of a thread that has got its answer, as far as the kernel tells.
type last struct {
	repeat
	note uint64
	at   time.Time
}

const (
	// maxRemembered is how many calls of a container are remembered.
	maxRemembered = 64
	// maxHandling is how long a signal is handled before the call that it has interrupted
	// is made again.
	maxHandling = time.Second
)

func (r *Request) repeat() repeat { return repeat{r.TID, r.Call, r.ABI, r.Args} }

// remember keeps what was done for a call that may be made again, which is if a signal
// interrupts it, by the kernel or by the caller itself. After that the caller waits no
// more. But it may have been given its answer in the moment when the signal had woken it
// already: to the one who answers that is a success, and the answer is lost all the same.
// A runtime that asks for WAIT_KILLABLE spares its containers the former, and new kernels
// then the latter.
func (a *Agent) remember(r *Request, answered bool) {
	n := r.Noted()
	if n == 0 && !answered { // it has come to nothing, and all is as before
		n, answered = r.answered, true
	}
	if n == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	c := r.listener.container
	if answered {
		set(&c.last, r.TID, last{r.repeat(), n, time.Now()})
	} else {
		set(&c.interrupted, r.repeat(), n)
	}
}

// set adds to a map that never has more than maxRemembered.
func set[K comparable, V any](m *map[K]V, k K, v V) {
	if *m == nil {
		*m = map[K]V{}
	}
	for old := range *m {
		if len(*m) < maxRemembered {
			break
		}
		delete(*m, old) // any: the caller may be one that never comes again
	}
	(*m)[k] = v
}

// begin waits for what is still done for an earlier call of the thread, which was
// interrupted, and notes what was done for it if this is the same call. What may have been
// done for it is for Answered.
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
	if len(c.last) > 0 {
		if l := c.last[r.TID]; l.repeat == r.repeat() && time.Since(l.at) < maxHandling {
			r.answered = l.note
		}
		delete(c.last, r.TID)
	}
	if len(c.interrupted) > 0 {
		if n := c.interrupted[r.repeat()]; n != 0 {
			delete(c.interrupted, r.repeat())
			r.Note(n)
		}
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
