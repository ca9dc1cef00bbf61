package seccomp

import (
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"golang.org/x/sys/unix"

	"cloister/internal/sys"
)

// maxAttempts is how often successors serve a call: it may be what kills them.
const maxAttempts = 5

// retryReceive is when a listener is tried again that gives an error.
const retryReceive = 100 * time.Millisecond

// follow starts another goroutine that waits for calls.
func (a *Agent) follow() {
	a.idle.Add(1)
	a.running.Go(a.lead)
}

// lead waits for a call, lets another goroutine wait for the next one, and serves it.
func (a *Agent) lead() {
	for {
		ready, more, err := a.poller.Wait()
		if err != nil {
			panic(fmt.Sprintf("seccomp: %v on an own descriptor", err))
		}
		if !more {
			return
		}
		if a.idle.Add(-1) == 0 {
			a.follow()
		}
		a.handle(ready)
		if a.idle.Add(1) > maxIdle {
			a.idle.Add(-1)
			return
		}
	}
}

func (a *Agent) handle(ready sys.Ready) {
	l := a.listener(ready.ID)
	switch {
	case l == nil: // ended while this was on its way
	case ready.Input:
		if t, ok := a.take(l); ok {
			a.receive(t)
		}
	case ready.Ended:
		a.end(l)
	default: // the kernel's poll was interrupted
		a.arm(l)
	}
}

// receive serves the next call, if it is still there.
func (a *Agent) receive(t taken) {
	defer a.release(t)
	t.slot.reserve(t.key)
	err := sys.ReceiveNotification(t.fd, &t.slot.notification)
	switch {
	case err == nil:
		a.arm(t.listener)
		a.serve(t)
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.EINTR): // the caller was killed
		a.arm(t.listener)
	default:
		t.log.Error().Err(err).Msg("receive a system call of the container")
		select {
		case <-time.After(retryReceive):
			a.arm(t.listener)
		case <-a.closed:
		}
	}
}

// serve answers the call in a slot.
func (a *Agent) serve(t taken) {
	n := &t.slot.notification
	c, args, _ := decode(n.Arch, n.Nr, n.Args)
	r := &Request{
		Container: t.Container, Call: c.name, ABI: c.abi, TID: int(n.TID), Args: args,
		Deadline: time.Now().Add(a.options.Deadline),
		listener: t.listener, slot: t.slot, id: n.ID,
	}
	a.inService[t.index].Store(r)
	defer a.inService[t.index].Store(nil)
	a.begin(r)
	defer a.over(r)
	a.remember(r, r.respond(a.answer(r)))
}

// answer asks the handler.
func (a *Agent) answer(r *Request) (answer Answer) {
	defer func() {
		if v := recover(); v != nil {
			r.listener.log.Error().Interface("panic", v).Bytes("stack", debug.Stack()).Str("call", r.Call).
				Msg("a system call of the container was answered with EIO: the handler has crashed")
			answer = Errno(unix.EIO)
		}
	}()
	h := a.options.Handlers[r.Call]
	if h == nil {
		return Errno(unix.ENOSYS)
	}
	if r.TID == 0 {
		return Failed(errors.New("the caller is in no pid namespace below the daemon's: run the daemon in the host's"))
	}
	answer = h.Serve(r)
	if answer.err != nil && !errors.Is(answer.err, ErrGone) {
		r.listener.log.Error().Err(answer.err).Str("call", r.Call).Int("tid", r.TID).
			Msg("a system call of the container was answered with EIO")
	}
	return answer
}

// respond sends the answer, if there was none before.
func (r *Request) respond(answer Answer) bool {
	defer answer.file.Close() // the caller has a copy
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.responded {
		return false
	}
	r.responded = true
	err := answer.give(r.listener.fd, r.id)
	if err != nil && !errors.Is(err, unix.ENOENT) {
		r.listener.log.Error().Err(err).Str("call", r.Call).Msg("answer a system call of the container")
	}
	return err == nil
}

// recover returns the calls that predecessors have left and that still wait, and
// frees the other slots.
func (a *Agent) recover() []taken {
	a.mu.Lock()
	byKey := make(map[uint64]*listener, len(a.listeners))
	for _, l := range a.listeners {
		byKey[l.key] = l
	}
	a.mu.Unlock()
	waiting := map[int]*listener{}
	for i := range a.journal.slots {
		s := &a.journal.slots[i]
		if l := byKey[s.listener.Load()]; l != nil && s.inUse() && sys.NotificationValid(l.fd, s.notification.ID) == nil {
			waiting[i] = l
		} else {
			s.clear()
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	var left []taken
	for i := slots - 1; i >= 0; i-- { // the first is taken first
		if l := waiting[i]; l != nil {
			left = append(left, a.use(l, i))
		} else {
			a.free = append(a.free, i)
		}
	}
	return left
}

// serveAgain answers a call that a predecessor has left.
func (a *Agent) serveAgain(t taken) {
	defer a.release(t)
	if t.slot.attempts.Add(1) > maxAttempts {
		r := &Request{listener: t.listener, id: t.slot.notification.ID}
		r.respond(Failed(nil))
		t.log.Error().Int("attempts", maxAttempts).
			Msg("a system call of the container was answered with EIO: the daemon has died each time it served it")
		return
	}
	a.serve(t)
}
