package keeper

import (
	"errors"
	"os"
	"time"

	"cloister/internal/sys"
)

// start starts a worker. Keeper and worker are of one version, but for a new program's
// trial.
func (k *keeper) start() {
	program, name := ownImage, k.Executable
	if k.trial.program != "" {
		program, name = k.trial.program, k.trial.program
	}
	w, greeting, err := startWorker(program, append([]string{name}, k.Args...), k.greeting())
	if err != nil {
		k.ended(&exit{err: err, reason: "can't be started: " + err.Error()})
		return
	}
	k.worker = w
	k.status.WorkerPID, k.status.BackoffUntil = w.process.Pid, time.Time{}
	go w.run(greeting, k.emit)
	k.saveStatus()
}

func (k *keeper) greeting() []packet {
	var last []string
	if k.backoff.fresh() {
		last = append(last, startFresh)
	}
	if k.systemd != nil {
		last = append(last, underSystemd)
	}
	return k.store.greeting(last...)
}

// watch kills a worker that hangs. It counts ticks, and not time: of those that pass
// while the keeper itself does not run, only one is seen, and the worker's messages
// are read before the next.
func (k *keeper) watch() {
	w := k.worker
	if w == nil || w.killed != "" || k.goal != another {
		return
	}
	limit := 2
	if w.ready.IsZero() {
		limit = max(limit, int(2*startLimit/k.Watchdog))
	}
	if w.silent++; w.silent > limit {
		k.status.Kills++
		k.kill("hung and was killed")
	}
}

func (k *keeper) kill(reason string) {
	k.worker.killed = reason
	if err := k.worker.process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		k.check(err)
	}
	k.timer.Reset(killLimit)
}

// leave tells the worker to end, for what is to be done then. Under systemd it
// always hands over: there the connections outlive a restart of the service.
func (k *keeper) leave(then goal) {
	if k.goal == end {
		return
	}
	k.goal, k.trial = then, trial{}
	if k.worker == nil {
		k.timer.Stop()
		k.proceed(nil)
		return
	}
	line, limit := handOver, handOverLimit
	switch {
	case k.worker.killed != "":
		return // it ends already
	case then == goBack:
		k.kill("was not ready in time and was killed")
		return
	case then == end && k.systemd == nil:
		line = stop
		fallthrough
	case then == end:
		limit = stopLimit
	}
	k.check(k.worker.conn.TrySend(line)) // else it is killed later
	k.timer.Reset(limit)
}

func (k *keeper) timeUp() {
	switch w := k.worker; {
	case w == nil:
		k.start()
	case w.killed == "":
		k.kill("did not end when told to and was killed")
	case !sys.Stuck(w.process.Pid): // on a busy machine it takes its time to end
		k.timer.Reset(killLimit)
	default:
		// Perhaps it waits in the kernel for what only its successor will do.
		k.unreaped[w.process.Pid] = true
		_ = w.conn.Close() // nothing that it says counts any more
		k.ended(&exit{
			err: errors.New("worker can't be killed"), reason: w.killed + ", but has not ended", byOthers: true, crashed: true,
		})
	}
}

// ended notes the end of the worker, and goes on.
func (k *keeper) ended(e *exit) {
	var readyFor time.Duration
	if k.worker != nil {
		readyFor = k.worker.readyFor()
	}
	k.worker, k.status.WorkerPID = nil, 0
	if readyFor > 0 {
		k.status.DownSince = time.Now()
	}
	k.timer.Stop()
	switch {
	case k.goal != another:
		if e.err != nil {
			k.Log.Warn().Msg("worker " + e.reason)
		}
		k.proceed(e.err)
	case k.trial.program != "":
		k.tryAgain(e)
	case !k.needed:
		k.done, k.err = true, e.err
	default:
		k.restart(e, readyFor)
	}
	k.saveStatus()
}

// restart starts another worker, now or later. One that has ended with status 0 was
// told to hand over by somebody else.
func (k *keeper) restart(e *exit, readyFor time.Duration) {
	delay := k.backoff.next(readyFor, e)
	k.Log.Warn().Dur("delay", delay).Msg("worker " + e.reason + "; a new one goes on")
	if e.err != nil || readyFor == 0 {
		k.status.Restarts++
		k.status.LastExit = &Exit{Time: time.Now(), Reason: e.reason}
	}
	k.status.BackoffUntil = time.Now().Add(delay)
	k.timer.Reset(delay)
}

// proceed does what the worker had to end for; err is how it ended.
func (k *keeper) proceed(err error) {
	switch k.goal {
	case end:
		k.done, k.err = true, err
	case upgrade:
		k.startTrial()
	case goBack:
		k.goal = another
		k.timer.Reset(0)
	}
}
