package keeper

import (
	"os"
	"time"

	"cloister/internal/sys"
)

// resume goes on with what the program before has left.
func (k *keeper) resume(s *state) error {
	k.needed = true
	k.store = store{}
	for name, fd := range s.Stored {
		k.store[name] = sys.NewFD(fd)
	}
	if s.Executable != "" {
		k.Executable = s.Executable
	}
	k.resumeStatus(s.Status)
	k.Log.Info().Int("stored", len(k.store)).Str("executable", k.Executable).Msg("keeper goes on")
	if s.Worker != nil {
		if err := k.resumeWorker(s.Worker); err != nil {
			return err
		}
	}
	return k.reap(s.Unreaped)
}

// resumeStatus goes on with the status of the keeper before. From one that did not
// execute this program there is only its file.
func (k *keeper) resumeStatus(s *Status) {
	if s != nil {
		k.status = *s
		if k.status.Upgrade != nil {
			k.status.Upgrade.Done = true
		}
		return
	}
	before, err := ReadStatus(k.StatusPath)
	if err != nil || before.WorkerPID != os.Getpid() {
		return // it has never been written, or is of another keeper
	}
	k.status = *before
	k.status.WorkerPID, k.status.DownSince = 0, time.Now()
	k.status.Restarts++
	k.status.LastExit = &Exit{Time: k.status.DownSince, Reason: "took the keeper's place, which was gone"}
	if u := k.status.Upgrade; u != nil && !u.Done {
		u.Done, u.Error = true, "the keeper has ended meanwhile, and its worker has taken its place"
	}
}

// resumeWorker goes on with a worker that is ready.
func (k *keeper) resumeWorker(s *workerState) (err error) {
	if k.worker, err = inheritWorker(s); err != nil {
		return err
	}
	k.timer.Stop() // there is none to be started
	go k.worker.run(nil, k.emit)
	return nil
}

// reap waits for workers that were killed and have not ended yet.
func (k *keeper) reap(pids []int) error {
	for _, pid := range pids {
		process, err := os.FindProcess(pid)
		if err != nil {
			return err
		}
		k.unreaped[pid] = true
		go (&worker{process: process}).wait(k.emit)
	}
	return nil
}
