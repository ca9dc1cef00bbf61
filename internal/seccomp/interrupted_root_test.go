//go:build root

package seccomp

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestInterruptedCallIsKnownAgain has a signal interrupt a call while its handler has done
// what can't be done twice. The kernel makes the call again.
func TestInterruptedCallIsKnownAgain(t *testing.T) {
	const done = 7
	var calls atomic.Int32
	noted := make(chan uint64, 2)
	process := make(chan int, 1)
	tr := contain(t, map[string]Handler{callSysinfo: handlerFunc(func(r *Request) Answer {
		noted <- r.Noted()
		if calls.Add(1) > 1 {
			return Return(done)
		}
		r.Note(done)
		// The signal of Go's own, whose handler restarts system calls.
		if err := unix.Tgkill(<-process, r.TID, unix.SIGURG); err != nil {
			t.Error(err)
		}
		for end := time.Now().Add(5 * time.Second); !errors.Is(r.Valid(), ErrGone); runtime.Gosched() {
			if time.Now().After(end) {
				t.Error("the signal has not interrupted the call")
				break
			}
		}
		return Return(0)
	})})
	process <- tr.cmd.Process.Pid
	if got := tr.do(sysinfoAt(arena)).Value; got != done {
		t.Errorf("the call returned %d, want the answer to the second one, %d", got, done)
	}
	if first, second := <-noted, <-noted; first != 0 || second != done {
		t.Errorf("noted were %d and %d, want 0 and %d", first, second, done)
	}
	if got := tr.do(sysinfoAt(arena)).Value; got != done || <-noted != 0 {
		t.Error("a later call has the note, too")
	}
}

// TestAnswersAreLost has signals arrive at any moment, also when the answer is given. What
// a call does can be done once all the same.
func TestAnswersAreLost(t *testing.T) {
	const threads, repeat = 8, 2000
	type call struct {
		tid    int
		number uint64
	}
	var mu sync.Mutex
	effects := map[call]int{}
	var lost atomic.Int32
	tr := contain(t, map[string]Handler{callSysinfo: handlerFunc(func(r *Request) Answer {
		before, err := r.Answered()
		if err != nil || r.Valid() != nil {
			return failed(err)
		}
		if before != 0 && r.Noted() == 0 {
			lost.Add(1)
		}
		before = max(before, r.Noted())
		r.Note(1)
		if before != 0 {
			return Return(0)
		}
		mu.Lock()
		defer mu.Unlock()
		effects[call{r.TID, r.Args[1]}]++
		return Return(0)
	})})
	outcomes := tr.start(order{Nr: unix.SYS_SYSINFO, Args: [6]uint64{arena}, Threads: threads, Repeat: repeat, Number: 1})
	end := pester(t, tr.cmd.Process.Pid)
	outcomes()
	end()
	mu.Lock()
	defer mu.Unlock()
	t.Logf("%d answers of %d calls were lost", lost.Load(), threads*repeat)
	if len(effects) != threads*repeat {
		t.Errorf("%d calls were done, want %d", len(effects), threads*repeat)
	}
	for c, n := range effects {
		if n != 1 {
			t.Errorf("call %d of thread %d was done %d times", c.number, c.tid, n)
		}
	}
}

// pester sends signals to all threads of a process, as fast as can be, until end.
func pester(t *testing.T, pid int) (end func()) {
	t.Helper()
	var over atomic.Bool
	var sending sync.WaitGroup
	sending.Go(func() {
		for !over.Load() {
			threads, err := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*")
			if err != nil {
				t.Error(err)
				return
			}
			for _, dir := range threads {
				tid, err := strconv.Atoi(filepath.Base(dir))
				if err != nil {
					t.Error(err)
					return
				}
				if err := unix.Tgkill(pid, tid, unix.SIGURG); err != nil && !errors.Is(err, unix.ESRCH) {
					t.Error(os.NewSyscallError("tgkill", err))
				}
			}
		}
	})
	return func() {
		over.Store(true)
		sending.Wait()
	}
}

// TestAnswered: what was noted for a call is known to the next one of the thread, if that
// is the same and the process handles signals.
func TestAnswered(t *testing.T) {
	type call struct{ addr, note uint64 }
	var mu sync.Mutex // a call that is made again may come before the first one is over
	deaf := false
	var last uint64
	lasts := map[int]call{} // of threads: which one makes a call is up to Go
	tr := contain(t, map[string]Handler{callSysinfo: handlerFunc(func(r *Request) Answer {
		mu.Lock()
		defer mu.Unlock()
		if r.Noted() != 0 || r.Valid() != nil {
			return Return(0)
		}
		addr, want := r.Args[0], uint64(0)
		if l := lasts[r.TID]; l.addr == addr && !deaf {
			want = l.note
		}
		if got, err := r.Answered(); got != want || err != nil {
			t.Errorf("call with %#x after %#x: %d was noted, want %d: %v", addr, lasts[r.TID].addr, got, want, err)
		}
		last++
		r.Note(last)
		lasts[r.TID] = call{addr, last}
		return Return(0)
	})})
	callAll := func() {
		for _, addr := range []uint64{arena, arena, arena, arena + 8, arena, arena} {
			tr.do(order{Nr: unix.SYS_SYSINFO, Args: [6]uint64{addr}, Repeat: 2})
		}
	}
	callAll()
	if got := tr.do(order{How: "deaf"}).Value; got != 0 {
		t.Fatalf("rt_sigaction: %d", got)
	}
	mu.Lock()
	deaf = true
	mu.Unlock()
	callAll()
}
