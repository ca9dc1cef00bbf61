package keeper

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"
)

// Status is what the keeper says of itself, in a file: it is there also while no
// worker answers.
type Status struct {
	PID          int       `json:"pid"`
	WorkerPID    int       `json:"workerPid,omitempty"` // 0 while there is none
	Since        time.Time `json:"since"`               // the start of the first keeper, before all upgrades
	Restarts     int       `json:"restarts"`            // of a worker that has ended without being told to
	Kills        int       `json:"kills"`               // of these: because it hung
	LastExit     *Exit     `json:"lastExit,omitempty"`  // of these: the last
	DownSince    time.Time `json:"downSince,omitzero"`  // zero while a worker is ready
	BackoffUntil time.Time `json:"backoffUntil,omitzero"`
	Upgrade      *Upgrade  `json:"upgrade,omitempty"` // the last one
	Executable   string    `json:"executable"`        // to which SIGHUP upgrades
}

// Exit is the end of a worker.
type Exit struct {
	Time   time.Time `json:"time"`
	Reason string    `json:"reason"` // "was killed by SIGKILL"
}

// Upgrade is the change to another program, or to a new version of the same.
type Upgrade struct {
	Time  time.Time `json:"time"` // when it was asked for
	From  string    `json:"from"`
	To    string    `json:"to"`
	Done  bool      `json:"done"`            // else it is under way
	Error string    `json:"error,omitempty"` // why it has failed
}

// ReadStatus reads a keeper's file.
func ReadStatus(path string) (*Status, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("keeper's status: %w", err)
	}
	s := &Status{}
	if err := json.Unmarshal(data, s); err != nil {
		return nil, fmt.Errorf("keeper's status in %s: %w", path, err)
	}
	return s, nil
}

// write writes the file beside and renames it, so that a reader finds all of it or
// the one before.
func (s *Status) write(path string) error {
	data, err := json.Marshal(s)
	if err != nil {
		return err
	}
	temp := path + ".new"
	err = os.WriteFile(temp, data, 0o600)
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	return nil
}

// hasStatus tells whether the file is this keeper's: one that was started beside
// another by mistake gets nothing to keep.
func (k *keeper) hasStatus() bool {
	return k.StatusPath != "" && (k.needed || len(k.store) > 0)
}

func (k *keeper) saveStatus() {
	if k.hasStatus() {
		k.status.Executable = k.Executable
		k.check(k.status.write(k.StatusPath))
	}
}

// removeStatus removes the file in the end.
func (k *keeper) removeStatus() {
	if !k.hasStatus() {
		return
	}
	if err := os.Remove(k.StatusPath); !errors.Is(err, os.ErrNotExist) {
		k.check(err)
	}
}
