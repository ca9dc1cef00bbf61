//go:build root

package seccomp

import (
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// gauge counts the calls in service.
type gauge struct {
	mu        sync.Mutex
	now, most int
}

func (g *gauge) enter() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.now++
	g.most = max(g.most, g.now)
	return g.now
}

func (g *gauge) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.now--
}

func TestContainerThatFloodsStarvesNoOther(t *testing.T) {
	var inService gauge
	fill := sync.Once{}
	full := make(chan struct{})
	release := make(chan struct{})
	floods, other := startTracee(t), startTracee(t)
	a := startAgent(t, createTestJournal(t), map[string]Handler{callSysinfo: handlerFunc(func(r *Request) Answer {
		if r.Container == "floods" {
			if inService.enter() == perContainer {
				fill.Do(func() { close(full) })
			}
			defer inService.leave()
			<-release
		}
		return sameFigures.Serve(r)
	})},
		Listener{Container: "floods", Name: name(0), FD: floods.listener},
		Listener{Container: "other", Name: name(1), FD: other.listener})
	finished := floods.start(order{Nr: unix.SYS_SYSINFO, Args: [6]uint64{arena}, Stride: 256, Threads: 60, Show: sysinfoSize})
	within(t, full, "full container")
	o := other.do(order{Nr: unix.SYS_SYSINFO, Args: [6]uint64{arena}, Show: sysinfoSize, Repeat: 1000})
	rightSysinfo(t, o)
	t.Logf("%v for each call of the other container", time.Duration(o.Nanos)/1000)
	close(release)
	for _, o := range finished() {
		rightSysinfo(t, o)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	if inService.most != perContainer {
		t.Errorf("%d calls of a container were in service at once, want %d", inService.most, perContainer)
	}
}

func TestListenersOfAContainerShareItsPlaces(t *testing.T) {
	const count = 3
	var inService gauge
	tracees := make([]*tracee, count)
	var listeners []Listener
	for i := range tracees {
		tracees[i] = startTracee(t)
		listeners = append(listeners, Listener{Container: "c", Name: name(i), FD: tracees[i].listener})
	}
	a := startAgent(t, createTestJournal(t), map[string]Handler{callSysinfo: handlerFunc(func(r *Request) Answer {
		inService.enter()
		defer inService.leave()
		runtime.Gosched()
		return sameFigures.Serve(r)
	})}, listeners...)
	var finished []func() []outcome
	for _, tr := range tracees {
		finished = append(finished, tr.start(order{
			Nr: unix.SYS_SYSINFO, Args: [6]uint64{arena}, Stride: 256, Threads: 20, Show: sysinfoSize, Repeat: 50,
		}))
	}
	for _, wait := range finished {
		for _, o := range wait() {
			rightSysinfo(t, o)
		}
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	if inService.most > perContainer {
		t.Errorf("%d calls of a container were in service at once", inService.most)
	}
}

func TestListenersWaitForSlots(t *testing.T) {
	var inService gauge
	one, other := startTracee(t), startTracee(t)
	a := startAgent(t, createTestJournal(t), map[string]Handler{callSysinfo: handlerFunc(func(r *Request) Answer {
		inService.enter()
		defer inService.leave()
		return sameFigures.Serve(r)
	})})
	a.mu.Lock()
	a.free = a.free[:2]
	a.mu.Unlock()
	var finished []func() []outcome
	for i, tr := range []*tracee{one, other} {
		if err := a.Add(Listener{Container: name(i), Name: name(i), FD: tr.listener}); err != nil {
			t.Fatal(err)
		}
		finished = append(finished, tr.start(order{
			Nr: unix.SYS_SYSINFO, Args: [6]uint64{arena}, Stride: 256, Threads: 20, Show: sysinfoSize, Repeat: 50,
		}))
	}
	for _, wait := range finished {
		for _, o := range wait() {
			rightSysinfo(t, o)
		}
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	if inService.most > 2 || len(a.free) != 2 {
		t.Errorf("%d calls were in service in 2 slots, of which %d are free", inService.most, len(a.free))
	}
}

func TestListenersThatEndInAQueueHoldUpNoOther(t *testing.T) {
	full, release := make(chan struct{}, perContainer), make(chan struct{})
	a := startAgent(t, createTestJournal(t), map[string]Handler{callSysinfo: handlerFunc(func(r *Request) Answer {
		full <- struct{}{}
		<-release
		return sameFigures.Serve(r)
	})})
	add := func(i int) *tracee {
		tr := startTracee(t)
		if err := a.Add(Listener{Container: "c", Name: name(i), FD: tr.listener}); err != nil {
			t.Fatal(err)
		}
		return tr
	}
	queued := func(n int) {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for deadline := time.Now().Add(patience); ; <-tick.C {
			a.mu.Lock()
			waiting := len(a.containers["c"].waiting)
			a.mu.Unlock()
			if waiting == n {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%d listeners are queued, want %d", waiting, n)
			}
		}
	}
	first := add(0)
	firstFinished := first.start(order{Nr: unix.SYS_SYSINFO, Args: [6]uint64{arena}, Stride: 256, Threads: perContainer})
	for range perContainer {
		within(t, full, "call in service")
	}
	const others = perContainer + 1
	var killed []*tracee
	for i := range others {
		tr := add(1 + i)
		tr.start(sysinfoAt(arena))
		killed = append(killed, tr)
		queued(len(killed) + 1) // with that of the first
	}
	last := add(1 + others)
	finished := last.start(order{Nr: unix.SYS_SYSINFO, Args: [6]uint64{arena}, Show: sysinfoSize})
	queued(others + 2)
	for _, tr := range killed {
		tr.end()
	}
	close(release)
	firstFinished()
	rightSysinfo(t, finished()[0])
	if err := a.Close(); err != nil {
		t.Error(err)
	}
}
