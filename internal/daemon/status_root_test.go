//go:build root

package daemon

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"cloister/internal/api"
	"cloister/internal/keeper"
)

// Status has the same numbers, added up.
func TestStatusTellsWhatWasServed(t *testing.T) {
	h := newHost(t)
	_, init := h.run("web")
	d, err := h.client.Container("web")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("cat", filepath.Join(d.ViewsPath, "proc/stat")).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	h.eventually("the read is counted", func() bool {
		s, err := h.client.Status()
		return err == nil && s.Served.Opens == 1 && s.Served.P50Micros > 0 && s.Served.P99Micros >= s.Served.P50Micros
	})
	s, err := h.client.Status()
	if err != nil {
		t.Fatal(err)
	}
	if s.Served.Errors != 0 || s.Memory == 0 || s.Since.IsZero() || time.Since(s.Since) < 0 || s.Restarts != 0 {
		t.Errorf("got %+v", s)
	}
	kill(init)
	h.settled()
}

func TestKeeperIsShown(t *testing.T) {
	h := newHost(t)
	since := time.Now().Add(-time.Hour).UTC().Truncate(time.Second)
	text, err := json.Marshal(&keeper.Status{
		PID: 77, WorkerPID: os.Getpid(), Since: since, Restarts: 3, Kills: 1,
		LastExit: &keeper.Exit{Reason: "was killed by SIGKILL"}, Upgrade: &keeper.Upgrade{From: "/a", To: "/b", Error: "no worker"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(api.KeeperPath(h.runDir), text, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := h.client.Status()
	if err != nil {
		t.Fatal(err)
	}
	if s.PID != 77 || !s.Since.Equal(since) || s.Restarts != 3 || s.Kills != 1 || s.LastExit != "was killed by SIGKILL" || s.Upgrade.Error != "no worker" {
		t.Errorf("got %+v", s)
	}
	if restarts, kills := h.metric("cloister_worker_restarts_total"), h.metric("cloister_worker_watchdog_kills_total"); restarts != 3 || kills != 1 {
		t.Errorf("got %v restarts and %v kills", restarts, kills)
	}
}
