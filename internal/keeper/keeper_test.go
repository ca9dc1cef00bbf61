package keeper

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func TestWorkerIsKilled(t *testing.T) {
	h := start(t)
	w := h.nextReady()
	w.do("store", "a", "content of a")
	w.do("store", "b", "old")
	w.do("store", "b", "content of b")
	w.do("store", "c", "gone")
	w.do("remove", "c", "")
	w.kill(syscall.SIGKILL)

	next := h.nextReady()
	if next.Parent != h.cmd.Process.Pid || next.PID == w.PID || next.Fresh {
		t.Errorf("got %+v after %+v, want another worker that is not fresh", next.hello, w.hello)
	}
	if next.Stored != 2 {
		t.Errorf("got %d descriptors, want 2", next.Stored)
	}
	next.wantContent("a", "content of a")
	next.wantContent("b", "content of b")
	h.eventually("status", func(s *Status) bool {
		return s.PID == h.cmd.Process.Pid && s.WorkerPID == next.PID && s.Restarts == 1 && s.Kills == 0 &&
			s.LastExit.Reason == "was killed by SIGKILL"
	})
}

func TestWorkerHangs(t *testing.T) {
	for name, hang := range map[string]func(*remote){
		"stopped": func(r *remote) { r.kill(syscall.SIGSTOP) },
		"silent":  func(r *remote) { r.do("silent", "", "") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := start(t)
			w := h.nextReady()
			w.do("store", "a", "content")
			hang(w)
			h.nextReady().wantContent("a", "content")
			h.eventually("status", func(s *Status) bool {
				return s.Kills == 1 && s.Restarts == 1 && strings.HasPrefix(s.LastExit.Reason, "hung and was killed")
			})
		})
	}
}

func TestStop(t *testing.T) {
	h := start(t)
	h.nextReady()
	h.signal(syscall.SIGTERM)
	if got, want := h.exit(), 10+int(Stop); got != want {
		t.Errorf("got status %d, want the worker's, %d", got, want)
	}
}

func TestStopBetweenWorkers(t *testing.T) {
	h := start(t)
	h.nextReady().do("exit", "", "1")
	h.next().do("exit", "", "1")
	h.eventually("back-off", func(s *Status) bool {
		return s.Restarts == 2 && s.WorkerPID == 0 && !s.DownSince.IsZero() && s.BackoffUntil.After(s.LastExit.Time) &&
			s.LastExit.Time.After(s.DownSince)
	})
	h.signal(syscall.SIGTERM)
	h.exit() // of whichever worker there was
}

// A worker that fails before any was ready is a wrong flag or a broken file: trying again
// does not help.
func TestFirstWorkerFails(t *testing.T) {
	for _, store := range []string{"", "a"} {
		h := start(t)
		w := h.next()
		w.do("store", store, "content")
		w.do("exit", "", "3")
		if got := h.exit(); got != 3 {
			t.Errorf("got status %d, want the worker's, 3", got)
		}
	}
}

func TestWorkerSaysWhy(t *testing.T) {
	h := start(t)
	w := h.nextReady()
	w.do("fail", "", "settings: broken\nin line 3")
	w.do("exit", "", "1")
	h.nextReady()
	h.eventually("status", func(s *Status) bool {
		return s.LastExit != nil && s.LastExit.Reason == "exited with status 1: settings: broken; in line 3"
	})
}

// Somebody else has told the worker to hand over.
func TestWorkerHandsOver(t *testing.T) {
	h := start(t)
	h.nextReady().do("exit", "", "0")
	w := h.nextReady()
	h.eventually("status", func(s *Status) bool { return s.WorkerPID == w.PID && s.Restarts == 0 && s.LastExit == nil })
}

func TestFreshAfterCrashes(t *testing.T) {
	h := start(t)
	w := h.nextReady()
	w.do("store", "a", "poison")
	w.kill(syscall.SIGKILL)
	w = h.next()
	for i := range distrust {
		if w.Fresh {
			t.Errorf("worker %d is fresh", i)
		}
		w.do("exit", "", "2")
		w = h.next()
	}
	if !w.Fresh || w.Stored != 1 {
		t.Errorf("got %+v, want a fresh worker with 1 descriptor", w.hello)
	}
	w.do("ready", "", "")
	w.kill(syscall.SIGKILL)
	if w = h.next(); w.Fresh {
		t.Error("the worker after one that was ready is fresh")
	}
}

func TestNothingLeaks(t *testing.T) {
	h := start(t)
	w := h.nextReady()
	w.do("store", "a b c", "content")
	h.eventually("stored", func(*Status) bool {
		n, _ := descriptors(t, h.cmd.Process.Pid)
		return n > 0 && w.do("read", "c", "") == "content"
	})
	w.kill(syscall.SIGKILL)
	w = h.nextReady()
	before, _ := descriptors(t, h.cmd.Process.Pid)
	for range 50 {
		w.do("store", "b", "again")
		w.kill(syscall.SIGKILL)
		w = h.nextReady()
	}
	if w.Stored != 3 {
		t.Errorf("got %d descriptors, want 3", w.Stored)
	}
	// The last worker's pidfd and socket may already be there, the one's before
	// still.
	eventually(t, "as many descriptors as before", func() bool {
		after, _ := descriptors(t, h.cmd.Process.Pid)
		return after <= before
	})
	_, fromUs := descriptors(t, os.Getpid())
	for _, pid := range []int{h.cmd.Process.Pid, w.PID} {
		if _, inherited := descriptors(t, pid); !slices.Equal(inherited, fromUs) {
			t.Errorf("children of %d inherit its descriptors %v, want only those of the test, %v", pid, inherited, fromUs)
		}
	}
}

func TestManyDescriptors(t *testing.T) {
	h := start(t)
	w := h.nextReady()
	var names []string
	for i := range 1000 {
		names = append(names, fmt.Sprintf("%0*d", 1+i%maxName, i))
	}
	w.do("store", strings.Join(names, " "), "content")
	w.kill(syscall.SIGKILL)
	w = h.nextReady()
	if w.Stored != len(names) {
		t.Errorf("got %d descriptors, want %d", w.Stored, len(names))
	}
	w.wantContent(names[0], "content")
	w.wantContent(names[999], "content")
}

// What a worker should not say is no reason to end.
func TestNonsense(t *testing.T) {
	h := start(t)
	w := h.nextReady()
	for _, text := range []string{"FDSTORE=1\nFDNAME=a", "FDSTORE=1", "FDSTOREREMOVE=1\nFDNAME=never", "nothing", "=", "STATUS=fine"} {
		w.do("say", "", text)
	}
	w.kill(syscall.SIGKILL)
	if w = h.nextReady(); w.Stored != 0 {
		t.Errorf("got %d descriptors, want none", w.Stored)
	}
}
