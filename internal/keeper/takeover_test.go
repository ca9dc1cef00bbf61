package keeper

import (
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestWorkerTakesOver(t *testing.T) {
	h := start(t)
	w := h.nextReady()
	w.do("store", "a b", "content")
	var since time.Time
	h.eventually("status", func(s *Status) bool { since = s.Since; return true })
	for i := range 3 {
		keeper := w.Parent
		h.eventually("worker is known", func(s *Status) bool {
			return s.WorkerPID == w.PID && s.PID == keeper && s.Restarts == i
		})
		if err := syscall.Kill(keeper, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		old := w
		w = h.nextReady()
		if w.Parent != old.PID || !slices.Equal(w.Args, old.Args) {
			t.Errorf("got %+v after %+v, want a worker below the old one", w.hello, old.hello)
		}
		w.wantContent("a", "content")
		w.wantContent("b", "content")
		w.do("remove", "b", "")
		w.do("store", "b", "content")
	}
	// The new keeper is one as any other.
	h.eventually("status", func(s *Status) bool {
		return s.WorkerPID == w.PID && s.PID == w.Parent && s.Since.Equal(since) &&
			s.LastExit.Reason == "took the keeper's place, which was gone"
	})
	old := w
	w.kill(syscall.SIGKILL)
	if w = h.nextReady(); w.Parent != old.Parent {
		t.Errorf("got %+v after %+v, want the same keeper", w.hello, old.hello)
	}
}

// The keeper may be in the middle of executing the new program, or just have.
func TestKeeperIsKilledRightAfterAnUpgrade(t *testing.T) {
	for name, wait := range map[string]func(*host){
		"at once": func(*host) {},
		"when it is complete": func(h *host) {
			h.eventually("upgrade is complete", func(s *Status) bool { return s.Upgrade.Done })
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t)
			w := h.nextReady()
			w.do("store", "a", "content")
			w.do("upgrade", "", copyOf(t, "new"))
			w = h.nextReady()
			wait(h)
			h.signal(syscall.SIGKILL)
			h.takenOver(w)
		})
	}
}

// A new program whose worker is fine, and whose keeper is not.
func TestNewKeeperDiesAtOnce(t *testing.T) {
	h := start(t)
	w := h.nextReady()
	w.do("store", "a", "content")
	to := copyOf(t, "stumbling")
	w.do("upgrade", "", to)
	w = h.nextReady()
	if got := h.exit(); got != 1 {
		t.Errorf("got status %d, want 1", got)
	}
	w = h.takenOver(w)
	h.eventually("failure is told", func(s *Status) bool {
		return s.WorkerPID == w.PID && s.Upgrade.Done && strings.HasPrefix(s.Upgrade.Error, "the keeper has ended") && s.Executable == to
	})
}

// takenOver expects that a worker becomes the keeper, and returns its worker.
func (h *host) takenOver(old *remote) *remote {
	h.t.Helper()
	w := h.nextReady()
	if w.Parent != old.PID || w.Program != old.Program {
		h.t.Errorf("got %+v after %+v, want a worker below the old one", w.hello, old.hello)
	}
	w.wantContent("a", "content")
	h.eventually("status", func(s *Status) bool { return s.PID == old.PID && s.WorkerPID == w.PID })
	return w
}
