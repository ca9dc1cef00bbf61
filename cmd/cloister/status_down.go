package main

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"cloister/internal/api"
	"cloister/internal/keeper"
)

// withoutWorker prints what the keeper says while the daemon itself does not answer. It
// returns an error in any case: containers can't be started.
func (c *statusCmd) withoutWorker(runDir string, noAnswer error) error {
	k, err := keeper.ReadStatus(api.KeeperPath(runDir))
	if err != nil || errors.Is(syscall.Kill(k.PID, 0), syscall.ESRCH) {
		return noAnswer // there is no keeper either
	}
	if c.JSON {
		err = printJSON(k)
	} else {
		err = table(os.Stdout, rowsWithoutWorker(k, time.Now()))
	}
	return errors.Join(err, errors.New("the daemon's worker does not answer, so reads of views wait and containers can't be started; the log says more: `journalctl -u cloister`"))
}

// rowsWithoutWorker says what is known at a time when no worker answers.
func rowsWithoutWorker(k *keeper.Status, now time.Time) [][]string {
	rows := [][]string{
		{"pid", fmt.Sprint(k.PID)},
		{"up for", elapsed(k.Since, now)},
		{"program", k.Executable},
		{"worker", downWorker(k, now)},
		{"restarts", fmt.Sprintf("%d, of these %d because it hung", k.Restarts, k.Kills)},
	}
	if k.LastExit != nil {
		rows = append(rows, []string{"last exit", fmt.Sprintf("%s ago: %s", elapsed(k.LastExit.Time, now), k.LastExit.Reason)})
	}
	if wait := k.BackoffUntil.Sub(now); k.WorkerPID == 0 && wait > 0 {
		rows = append(rows, []string{"next try", fmt.Sprintf("at %s, in %s", clock(k.BackoffUntil), wait.Truncate(time.Second/10))})
	}
	if u := k.Upgrade; u != nil && !u.Done {
		rows = append(rows, []string{"upgrade", "to " + u.To + " is under way"})
	}
	return rows
}

func downWorker(k *keeper.Status, now time.Time) string {
	switch {
	case k.DownSince.IsZero() && k.WorkerPID != 0:
		return fmt.Sprintf("pid %d, does not answer", k.WorkerPID)
	case k.DownSince.IsZero():
		return "down"
	}
	state := fmt.Sprintf("down since %s, for %s", clock(k.DownSince), elapsed(k.DownSince, now))
	if k.WorkerPID != 0 {
		state += fmt.Sprintf("; pid %d starts", k.WorkerPID)
	}
	return state
}

func elapsed(t, now time.Time) string { return now.Sub(t).Truncate(time.Second).String() }

func clock(t time.Time) string { return t.Local().Format(time.DateTime) }
