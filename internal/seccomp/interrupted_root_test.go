//go:build root

package seccomp

import (
	"errors"
	"runtime"
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
