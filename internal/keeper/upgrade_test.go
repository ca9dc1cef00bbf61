package keeper

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestUpgrade(t *testing.T) {
	from := copyOf(t, "first")
	h := startKeeper(t, from, nil)
	w := h.nextReady()
	w.do("store", "a", "content")
	for _, name := range []string{"second", "third"} {
		to := copyOf(t, name)
		w.do("upgrade", "", to)
		w = h.nextReady()
		if w.Program != name || w.Parent != h.cmd.Process.Pid || w.Args[0] != to {
			t.Errorf("got %+v, want %s below the same keeper", w.hello, name)
		}
		w.wantContent("a", "content")
		h.eventually("status", func(s *Status) bool {
			u := s.Upgrade
			return s.Executable == to && u.Done && u.From == from && u.To == to && u.Error == "" &&
				s.PID == h.cmd.Process.Pid && s.WorkerPID == w.PID && s.Restarts == 0 && s.LastExit == nil
		})
		if got := programOf(t, h.cmd.Process.Pid); got != name {
			t.Errorf("the keeper executes %s, want %s", got, name)
		}
		w.do("store", "b", "the same worker goes on")
		from = to
	}
	w.kill(syscall.SIGKILL)
	if w = h.nextReady(); w.Program != "third" {
		t.Errorf("got worker of %s, want third", w.Program)
	}
	w.wantContent("b", "the same worker goes on")
	h.eventually("status", func(s *Status) bool { return s.Restarts == 1 && s.LastExit.Reason == "was killed by SIGKILL" })
}

// Nothing that the worker says while the keeper executes the new program is lost.
func TestWorkerTalksDuringUpgrade(t *testing.T) {
	h := start(t)
	w := h.nextReady()
	for range 5 {
		w.do("upgrade", "", copyOf(t, "new"))
		w = h.nextReady()
		var names []string
		for i := range 300 {
			names = append(names, fmt.Sprint(i))
		}
		w.do("store", strings.Join(names, " "), "content of "+fmt.Sprint(w.PID))
		h.eventually("upgrade is complete", func(s *Status) bool { return s.Upgrade.Done && s.WorkerPID == w.PID })
		old := w
		w.kill(syscall.SIGKILL)
		if w = h.nextReady(); w.Stored != len(names) {
			t.Errorf("got %d descriptors, want %d", w.Stored, len(names))
		}
		for _, name := range []string{names[0], names[299]} {
			w.wantContent(name, "content of "+fmt.Sprint(old.PID))
		}
	}
}

// The package's files are replaced, then the service is told to reload.
func TestReload(t *testing.T) {
	program := copyOf(t, "program")
	h := startKeeper(t, program, nil)
	w := h.nextReady()
	w.do("store", "a", "content")
	var before int
	for i := range 3 {
		if err := os.Rename(copyOf(t, "new"), program); err != nil {
			t.Fatal(err)
		}
		if i == 0 { // until it is told, the old program goes on
			w.kill(syscall.SIGKILL)
			if w = h.nextReady(); !strings.HasSuffix(w.Program, " (deleted)") {
				t.Errorf("got worker of %s, want the deleted program", w.Program)
			}
		}
		h.signal(syscall.SIGHUP)
		if w = h.nextReady(); w.Program != "program" {
			t.Errorf("got worker of %s, want program", w.Program)
		}
		h.eventually("upgrade is complete", func(s *Status) bool { return s.WorkerPID == w.PID && s.Upgrade.Done })
		if got := programOf(t, h.cmd.Process.Pid); got != "program" {
			t.Errorf("the keeper executes %s, want program", got)
		}
		if i == 0 {
			before, _ = descriptors(t, h.cmd.Process.Pid)
		}
	}
	w.wantContent("a", "content")
	eventually(t, "as many descriptors as before", func() bool {
		after, _ := descriptors(t, h.cmd.Process.Pid)
		return after <= before
	})
	h.signal(syscall.SIGTERM)
	if got, want := h.exit(), 10+int(Stop); got != want {
		t.Errorf("got status %d, want %d", got, want)
	}
}

func TestUpgradeThatCantTellItsVersion(t *testing.T) {
	h := start(t)
	w := h.nextReady()
	for _, path := range []string{copyOf(t, "mute"), filepath.Join(t.TempDir(), "missing")} {
		w.do("upgrade", "", path)
		h.eventually("failure is told", func(s *Status) bool {
			return s.Upgrade != nil && s.Upgrade.To == path && strings.HasPrefix(s.Upgrade.Error, path+" version: ") ||
				s.Upgrade != nil && strings.Contains(s.Upgrade.Error, "no such file")
		})
		w.do("store", "a", "the same worker goes on")
	}
}

// goesOn expects that the keeper and its next worker are of the program.
func (h *host) goesOn(program string) *remote {
	h.t.Helper()
	w := h.nextReady()
	if w.Program != program || w.Parent != h.cmd.Process.Pid || programOf(h.t, w.Parent) != program {
		h.t.Errorf("got %+v below %s, want %s below the same keeper", w.hello, programOf(h.t, w.Parent), program)
	}
	return w
}

func TestFailingUpgradeGoesBack(t *testing.T) {
	script := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n[ \"$1\" = version ]\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string]string{"no keeper": script, "its workers fail": copyOf(t, "broken")} {
		t.Run(name, func(t *testing.T) {
			program := copyOf(t, "program")
			h := startKeeper(t, program, nil)
			w := h.nextReady()
			w.do("store", "a", "content")
			// The path then is the broken program's, as after a package's upgrade.
			if err := os.Rename(copyOf(t, "broken"), program); err != nil {
				t.Fatal(err)
			}
			w.do("upgrade", "", to)

			w = h.goesOn("program (deleted)")
			w.wantContent("a", "content")
			h.eventually("failure is told", func(s *Status) bool {
				u := s.Upgrade
				return s.Executable == program && u.Done && u.To == to && strings.Contains(u.Error, "exited with status 1") &&
					s.WorkerPID == w.PID && s.Restarts == 0 && s.LastExit == nil
			})
			// Another try is possible.
			w.do("upgrade", "", copyOf(t, "good"))
			w = h.nextReady()
			h.eventually("upgrade is complete", func(s *Status) bool { return s.Upgrade.Done && s.WorkerPID == w.PID })
			if got := programOf(t, h.cmd.Process.Pid); got != "good" || w.Program != "good" {
				t.Errorf("got worker of %s below %s, want good", w.Program, got)
			}
		})
	}
}

func TestUpgradeThatIsNeverReady(t *testing.T) {
	t.Parallel() // it takes all of trialLimit
	h := startKeeper(t, copyOf(t, "program"), nil)
	w := h.nextReady()
	w.do("store", "a", "content")
	w.do("upgrade", "", copyOf(t, "slow"))
	if w = h.next(); w.Program != "slow" {
		t.Errorf("got worker of %s, want slow", w.Program)
	}
	w = h.goesOn("program")
	w.wantContent("a", "content")
	h.eventually("failure is told", func(s *Status) bool {
		return s.Upgrade.Error == "no worker became ready in time" && s.Restarts == 0 && s.Kills == 0 && s.LastExit == nil
	})
}

// Then keeper and worker are of different versions until the worker ends.
func TestUpgradeThatCantBeExecuted(t *testing.T) {
	h := startKeeper(t, copyOf(t, "program"), nil)
	w := h.nextReady()
	w.do("store", "a", "content")
	to := copyOf(t, "new")
	w.do("upgrade", "", to)
	w = h.next()
	before, _ := descriptors(t, h.cmd.Process.Pid)
	if err := os.Remove(to); err != nil {
		t.Fatal(err)
	}
	w.do("ready", "", "")
	h.eventually("failure is told", func(s *Status) bool {
		return s.Upgrade.Done && strings.HasPrefix(s.Upgrade.Error, "execve "+to) && s.WorkerPID == w.PID
	})
	after, _ := descriptors(t, h.cmd.Process.Pid)
	if after > before {
		t.Errorf("got %d descriptors, want %d as before", after, before)
	}
	w.kill(syscall.SIGKILL)
	h.goesOn("program").wantContent("a", "content")
}

func TestStopDuringUpgrade(t *testing.T) {
	h := start(t)
	w := h.nextReady()
	w.do("upgrade", "", copyOf(t, "new"))
	h.next()
	h.signal(syscall.SIGTERM)
	if got, want := h.exit(), 10+int(Stop); got != want {
		t.Errorf("got status %d, want that of the new program's worker, %d", got, want)
	}
}

func TestUpgradeOfDeafWorker(t *testing.T) {
	h := start(t)
	w := h.nextReady()
	w.do("deaf", "", "")
	w.do("store", "a", "content")
	h.signal(syscall.SIGHUP)
	w = h.nextReady()
	w.wantContent("a", "content")
	h.eventually("the upgrade is complete", func(s *Status) bool {
		return s.Upgrade.Done && s.Upgrade.Error == "" && s.LastExit == nil && s.Kills == 0
	})
}
