package keeper

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestStatus(t *testing.T) {
	path := filepath.Join(t.TempDir(), "status.json")
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	for _, want := range []Status{
		{PID: 1, Since: at, Executable: "/usr/bin/cloister"},
		{
			PID: 1, WorkerPID: 2, Since: at, Restarts: 3, Kills: 1, LastExit: &Exit{at, "exited with status 1"},
			DownSince: at, BackoffUntil: at, Upgrade: &Upgrade{at, "/a", "/b", true, "no"}, Executable: "/a",
		},
	} {
		if err := want.write(path); err != nil {
			t.Fatal(err)
		}
		got, err := ReadStatus(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(&want, got); diff != "" {
			t.Errorf("status differs (-want +got):\n%s", diff)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("got %v, %v, want mode 0600", info.Mode(), err)
	}
}

func TestReadStatusFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "status.json")
	if s, err := ReadStatus(path); !os.IsNotExist(err) && err == nil {
		t.Errorf("got %v, %v, want an error", s, err)
	}
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := ReadStatus(path); err == nil {
		t.Errorf("got %v, want an error", s)
	}
}

// A full disk, or a directory that is not there, hurts nothing.
func TestStatusCantBeWritten(t *testing.T) {
	h := start(t)
	w := h.nextReady()
	w.do("store", "a", "content")
	h.eventually("status", func(s *Status) bool { return s.WorkerPID != 0 })
	inTheWay := t.TempDir()
	if err := os.WriteFile(filepath.Join(inTheWay, "file"), nil, 0o600); err != nil { // so that it stays
		t.Fatal(err)
	}
	// Unless it is just being written.
	eventually(t, "directory is in the way", func() bool { return os.Rename(inTheWay, statusPath(h.dir)+".new") == nil })
	for range 3 {
		w.kill(9)
		w = h.nextReady()
		w.wantContent("a", "content")
	}
	if got := h.status().Restarts; got != 0 {
		t.Errorf("got a status with %d restarts, want the one from before", got)
	}
}

// A keeper that is started beside another by mistake has a worker that fails at what
// the other has locked, and leaves the other's file alone.
func TestStatusOfAnotherKeeper(t *testing.T) {
	h := start(t)
	text := []byte(`{"pid": 1}`)
	if err := os.WriteFile(statusPath(h.dir), text, 0o600); err != nil {
		t.Fatal(err)
	}
	w := h.next()
	wantFile(t, statusPath(h.dir), text)
	w.do("exit", "", "1")
	h.exit()
	wantFile(t, statusPath(h.dir), text)
}

func TestStatusFromTheFirstDescriptorToTheEnd(t *testing.T) {
	h := start(t)
	w := h.next()
	w.do("store", "a", "content")
	eventually(t, "status is there", func() bool {
		s, err := ReadStatus(statusPath(h.dir))
		return err == nil && s.PID == h.cmd.Process.Pid && s.WorkerPID == w.PID
	})
	w.do("ready", "", "")
	h.signal(syscall.SIGTERM)
	h.exit()
	if _, err := os.Stat(statusPath(h.dir)); !os.IsNotExist(err) {
		t.Errorf("got %v, want no status after the end", err)
	}
}

func wantFile(t *testing.T, path string, want []byte) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || string(got) != string(want) {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}
