//go:build root

package seccomp

import (
	"errors"
	"os"
	"runtime"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"cloister/internal/sys"
)

// startAgent serves listeners until the test ends.
func startAgent(t testing.TB, journal *sys.FD, handlers map[string]Handler, listeners ...Listener) *Agent {
	t.Helper()
	return startAgentWith(t, Options{Journal: journal, Handlers: handlers}, listeners...)
}

func startAgentWith(t testing.TB, o Options, listeners ...Listener) *Agent {
	t.Helper()
	o.Log = zerolog.New(zerolog.NewTestWriter(t))
	a, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range listeners {
		if err := a.Add(l); err != nil {
			t.Fatal(err)
		}
	}
	a.Start()
	return a
}

// duplicate is for an agent that gets a descriptor of its own.
func duplicate(t testing.TB, fd *sys.FD) *sys.FD {
	t.Helper()
	d, err := sys.Duplicate(fd.Int())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// contain starts an agent for a tracee and returns both.
func contain(t testing.TB, handlers map[string]Handler) *tracee {
	t.Helper()
	tr := startTracee(t)
	a := startAgent(t, createTestJournal(t), handlers, Listener{Container: "c", Name: name(0), FD: tr.listener})
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return tr
}

func TestCrashedHandlerFailsOnlyItsCall(t *testing.T) {
	crash := atomic.Bool{}
	crash.Store(true)
	tr := contain(t, map[string]Handler{callSysinfo: handlerFunc(func(r *Request) Answer {
		if crash.Swap(false) {
			panic("a mistake")
		}
		return sameFigures.Serve(r)
	})})
	if got := tr.do(sysinfoAt(arena)).Value; got != errno(unix.EIO) {
		t.Errorf("call returns %d, want EIO", got)
	}
	for range 2 * perContainer {
		if got := tr.do(sysinfoAt(arena)).Value; got != 0 {
			t.Fatalf("next call returns %d, want 0", got)
		}
	}
}

func TestHandlerBeyondItsDeadlineFailsOnlyItsCall(t *testing.T) {
	var hung atomic.Int32
	stuck := make(chan struct{})
	late := make(chan error, perContainer)
	tr := startTracee(t)
	a := startAgentWith(t, Options{
		Journal:  createTestJournal(t),
		Deadline: 200 * time.Millisecond,
		Handlers: map[string]Handler{callSysinfo: handlerFunc(func(r *Request) Answer {
			if hung.Add(1) < perContainer {
				<-stuck
				late <- r.Valid()
			}
			return sameFigures.Serve(r)
		})},
	}, Listener{Container: "c", Name: name(0), FD: tr.listener})
	for range perContainer - 1 {
		if got := tr.do(sysinfoAt(arena)).Value; got != errno(unix.EIO) {
			t.Fatalf("call returns %d, want EIO", got)
		}
	}
	if got := tr.do(sysinfoAt(arena)).Value; got != 0 {
		t.Errorf("call beside all that hang returns %d, want 0", got)
	}
	close(stuck)
	for range perContainer - 1 {
		if err := within(t, late, "end of what hung"); !errors.Is(err, ErrGone) {
			t.Errorf("call is still valid after EIO: %v", err)
		}
	}
	if got := tr.do(sysinfoAt(arena)).Value; got != 0 {
		t.Errorf("call after all that hung returns %d, want 0", got)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
}

func TestMemoryThatHangsHoldsOnlyItsCall(t *testing.T) {
	tr := startTracee(t)
	ended := make(chan Listener, 1)
	a := startAgentWith(t, Options{
		Journal: createTestJournal(t), Deadline: 200 * time.Millisecond,
		Handlers: map[string]Handler{callSysinfo: sameFigures},
		Ended:    func(l Listener) { ended <- l },
	}, Listener{Container: "c", Name: name(0), FD: tr.listener})
	const hanging = arena + arenaRoom/2
	switch got := tr.do(order{How: "hang", Args: [6]uint64{hanging}}).Value; got {
	case 0:
	case errno(unix.ENOSYS):
		t.Skip("kernel has no userfaultfd")
	default:
		t.Fatalf("userfaultfd: %d", got)
	}
	for range perContainer - 1 {
		if got := tr.do(sysinfoAt(hanging)).Value; got != errno(unix.EIO) {
			t.Fatalf("sysinfo to memory that hangs returns %d, want EIO", got)
		}
	}
	rightSysinfo(t, tr.do(order{Nr: unix.SYS_SYSINFO, Args: [6]uint64{arena}, Show: sysinfoSize}))
	tr.end() // which also frees the threads that are stuck
	within(t, ended, "end of the listener")
	if err := a.Close(); err != nil {
		t.Error(err)
	}
}

func TestKilledCallerIsNoticed(t *testing.T) {
	serving := make(chan *Request)
	release := make(chan struct{})
	answered := make(chan error, 1)
	tr := startTracee(t)
	ended := make(chan Listener, 1)
	a := startAgentWith(t, Options{
		Journal: createTestJournal(t),
		Handlers: map[string]Handler{callSysinfo: handlerFunc(func(r *Request) Answer {
			serving <- r
			<-release
			answered <- r.Valid()
			return Return(0)
		})},
		Ended: func(l Listener) { ended <- l },
	}, Listener{Container: "c", Name: name(0), FD: tr.listener})
	tr.start(sysinfoAt(arena))
	r := within(t, serving, "call in service")
	dir, err := r.ProcDir()
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	tr.end()
	if err := r.Valid(); !errors.Is(err, ErrGone) {
		t.Errorf("killed caller: %v", err)
	}
	r.TID = os.Getpid() // as if the number were another's by now
	memory := []byte("mine")
	addr := uint64(uintptr(unsafe.Pointer(&memory[0])))
	if _, err := r.ReadMemory(addr, make([]byte, 1)); !errors.Is(err, ErrGone) {
		t.Errorf("memory of a killed caller: %v", err)
	}
	if err := r.WriteMemory(addr, []byte("not")); !errors.Is(err, ErrGone) || string(memory) != "mine" {
		t.Errorf("write to a killed caller: %v, %q", err, memory)
	}
	if _, err := r.ProcDir(); !errors.Is(err, ErrGone) {
		t.Errorf("proc of a killed caller: %v", err)
	}
	if _, err := sys.ReadFileAt(dir, "status"); err == nil {
		t.Error("a directory of a thread that has ended still shows something")
	}
	select {
	case <-ended:
		t.Error("the listener has ended while a handler uses it")
	default:
	}
	close(release)
	if err := within(t, answered, "end of the handler"); !errors.Is(err, ErrGone) {
		t.Errorf("killed caller, later: %v", err)
	}
	if l := within(t, ended, "end of the listener"); l.Container != "c" || l.Name != name(0) {
		t.Errorf("ended: %+v", l)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
}

func TestEndedListenersLeaveNothingBehind(t *testing.T) {
	ended := make(chan Listener, 100)
	a := startAgentWith(t, Options{
		Journal: createTestJournal(t), Handlers: map[string]Handler{callSysinfo: sameFigures},
		Ended: func(l Listener) { ended <- l },
	})
	descriptors, goroutines := fds(t), runtime.NumGoroutine()
	for i := range 10 {
		tr := startTracee(t)
		if err := a.Add(Listener{Container: "c", Name: name(i), FD: tr.listener}); err != nil {
			t.Fatal(err)
		}
		finished := tr.start(order{Nr: unix.SYS_SYSINFO, Args: [6]uint64{arena}, Threads: 10, Repeat: 10})
		if i%2 == 0 {
			finished()
		}
		tr.end()
		if l := within(t, ended, "end of the listener"); l.Name != name(i) {
			t.Errorf("%s has ended instead of %s", l.Name, name(i))
		}
	}
	if n := fds(t); n > descriptors {
		t.Errorf("%d descriptors have become %d", descriptors, n)
	}
	if n := runtime.NumGoroutine(); n > goroutines+maxIdle-firstIdle {
		t.Errorf("%d goroutines have become %d", goroutines, n)
	}
	a.mu.Lock()
	if len(a.listeners) != 0 || len(a.containers) != 0 || len(a.free) != slots {
		t.Errorf("left: %d listeners, %d containers, %d of %d slots", len(a.listeners), len(a.containers), slots-len(a.free), slots)
	}
	a.mu.Unlock()
	if err := a.Close(); err != nil {
		t.Error(err)
	}
}

func TestWhatIsKnownOfAProcessIsNotKept(t *testing.T) {
	a := startAgentWith(t, Options{
		Journal: createTestJournal(t), Deadline: time.Hour, // nobody else tidies up
		Handlers: map[string]Handler{callSysinfo: sameFigures},
	})
	tr := startTracee(t)
	if err := a.Add(Listener{Container: "c", Name: "c", FD: tr.listener}); err != nil {
		t.Fatal(err)
	}
	before := fds(t)
	tr.start(order{Nr: unix.SYS_SYSINFO, Args: [6]uint64{arena}, Threads: 1, Repeat: 2})()
	if n := fds(t); n != before+1 {
		t.Errorf("%d descriptors have become %d, want one more", before, n)
	}
	a.tidy(time.Now())
	if n := fds(t); n != before {
		t.Errorf("%d descriptors have become %d", before, n)
	}
}

func TestAgentThatWasClosedLeavesNothingBehind(t *testing.T) {
	journal := createTestJournal(t)
	descriptors, goroutines := fds(t), runtime.NumGoroutine()
	for range 5 {
		if err := startAgent(t, journal, nil).Close(); err != nil {
			t.Fatal(err)
		}
	}
	if n := fds(t); n != descriptors {
		t.Errorf("%d descriptors have become %d", descriptors, n)
	}
	if n := runtime.NumGoroutine(); n > goroutines+1 { // a ticker's goroutine may still be on its way out
		t.Errorf("%d goroutines have become %d", goroutines, n)
	}
}

func TestCallWithoutAHandlerIsNotThere(t *testing.T) {
	tr := contain(t, nil)
	if got := tr.do(sysinfoAt(arena)).Value; got != errno(unix.ENOSYS) {
		t.Errorf("call returns %d, want ENOSYS", got)
	}
}

func TestOnlyListenersAreAdded(t *testing.T) {
	a := startAgent(t, createTestJournal(t), nil)
	f, err := sys.Open(os.DevNull, unix.O_RDONLY)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := a.Add(Listener{Container: "c", Name: "null", FD: f}); !errors.Is(err, unix.ENOTTY) {
		t.Errorf("Add of /dev/null: %v", err)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
}
