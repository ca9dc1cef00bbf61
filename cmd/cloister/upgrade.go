package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"cloister/internal/api"
)

const (
	upgradeLimit = 30 * time.Second
	upgradeWait  = 20 * time.Millisecond
)

// upgrade has the daemon go on as another program, and waits until one of the two
// serves.
func upgrade(client *api.Client, program string) error {
	program, err := filepath.Abs(program)
	if err != nil {
		return err
	}
	before, err := client.Status()
	if err != nil {
		return err
	}
	if err := client.Upgrade(api.UpgradeRequest{Program: program}); err != nil {
		return err
	}
	tick := time.NewTicker(upgradeWait)
	defer tick.Stop()
	for limit := time.After(upgradeLimit); ; {
		now, err := client.Status()
		if err != nil || !ended(now.Upgrade, before.Upgrade) {
			select {
			case <-tick.C:
				continue
			case <-limit:
				return errors.New("the daemon has not said how the upgrade ended; `cloister status` may tell")
			}
		}
		if u := now.Upgrade; u.Error != "" {
			return fmt.Errorf("not upgraded to %s, version %s goes on: %s", u.To, now.Version, u.Error)
		}
		_, err = fmt.Printf("upgraded from version %s to %s, pid %d, worker %d\n", before.Version, now.Version, now.PID, now.WorkerPID)
		return err
	}
}

// ended reports whether u is an upgrade after the last one before, and has ended.
func ended(u, before *api.Upgrade) bool {
	return u != nil && u.Done && (before == nil || !u.Time.Equal(before.Time))
}
