package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cloister/internal/api"
	"cloister/internal/keeper"
)

func TestStatusWithoutWorker(t *testing.T) {
	now := time.Date(2026, 3, 4, 12, 0, 0, 0, time.Local)
	before := func(d time.Duration) time.Time { return now.Add(-d) }
	for _, tt := range []struct {
		name   string
		status keeper.Status
		want   string
	}{
		{
			"backs off",
			keeper.Status{
				PID: 7, Since: before(time.Hour), Restarts: 4, Kills: 1, Executable: "/usr/bin/cloister", DownSince: before(90 * time.Second),
				LastExit: &keeper.Exit{Time: before(3 * time.Second), Reason: "exited with status 1"}, BackoffUntil: now.Add(2340 * time.Millisecond),
			},
			`pid: 7
up for: 1h0m0s
program: /usr/bin/cloister
worker: down since 2026-03-04 11:58:30, for 1m30s
restarts: 4, of these 1 because it hung
last exit: 3s ago: exited with status 1
next try: at 2026-03-04 12:00:02, in 2.3s
`,
		},
		{
			"starts",
			keeper.Status{PID: 7, WorkerPID: 8, Since: before(time.Hour), DownSince: before(time.Second), Upgrade: &keeper.Upgrade{To: "/new"}},
			`pid: 7
up for: 1h0m0s
program: 
worker: down since 2026-03-04 11:59:59, for 1s; pid 8 starts
restarts: 0, of these 0 because it hung
upgrade: to /new is under way
`,
		},
		{
			"hangs",
			keeper.Status{PID: 7, WorkerPID: 8, Since: before(time.Hour), Upgrade: &keeper.Upgrade{To: "/new", Done: true}},
			`pid: 7
up for: 1h0m0s
program: 
worker: pid 8, does not answer
restarts: 0, of these 0 because it hung
`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got strings.Builder
			for _, row := range rowsWithoutWorker(&tt.status, now) {
				fmt.Fprintln(&got, strings.Join(row, ": "))
			}
			if got.String() != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got.String(), tt.want)
			}
		})
	}
}

func TestStatusWithoutDaemon(t *testing.T) {
	for name, tt := range map[string]struct {
		pid      int
		noDaemon bool
	}{
		"no keeper":      {0, true},
		"keeper is gone": {1<<22 + 1, true}, // above the kernel's limit
		"keeper goes on": {os.Getpid(), false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if tt.pid != 0 {
				text := fmt.Sprintf(`{"pid": %d}`, tt.pid)
				if err := os.WriteFile(filepath.Join(dir, filepath.Base(api.KeeperPath(dir))), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			err := (&statusCmd{}).Run(api.NewClient(dir))
			if err == nil || errors.Is(err, api.ErrNoDaemon) != tt.noDaemon {
				t.Errorf("got %v, want an error that says whether there is a daemon: %v", err, !tt.noDaemon)
			}
		})
	}
}
