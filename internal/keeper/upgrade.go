package keeper

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

const (
	smokeLimit  = 2 * time.Second
	trialLimit  = 10 * time.Second // for a worker of a new program to become ready
	trialStarts = 3                // workers of a new program that may fail
)

// trial is the time in which workers of a new program are started; its zero value is
// all other time.
type trial struct {
	program string
	timeUp  <-chan time.Time
	backoff backoff
}

// tryUpgrade begins an upgrade. A program that can't say its version is not tried.
func (k *keeper) tryUpgrade(path string) {
	if k.testing || k.trial.program != "" || k.goal != another {
		k.Log.Warn().Str("path", path).Msg("no upgrade, as another one or the end is under way")
		return
	}
	k.testing = true
	k.status.Upgrade = &Upgrade{Time: time.Now(), From: k.Executable, To: path}
	k.saveStatus()
	k.check(k.systemd.notify(append(message{reloading}, parse(daemon.SdNotifyMonotonicUsec())...)))
	go func() { k.tested <- smokeTest(path) }()
}

func smokeTest(path string) error {
	ctx, cancel := context.WithTimeout(context.Background(), smokeLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "version")
	cmd.Env = workerEnv()
	cmd.WaitDelay = smokeLimit
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s version: %w %s", path, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// smokeTested goes on with the upgrade: the worker hands over, to one of the new program.
func (k *keeper) smokeTested(err error) {
	k.testing = false
	if err != nil {
		k.upgradeFailed(err.Error())
		k.check(k.systemd.notify(message{ready})) // the reload is over
		return
	}
	k.leave(upgrade)
}

func (k *keeper) startTrial() {
	k.goal = another
	k.trial = trial{program: k.status.Upgrade.To, timeUp: time.After(trialLimit)}
	k.timer.Reset(0)
}

// tryAgain starts another worker of the new program, or gives up.
func (k *keeper) tryAgain(e *exit) {
	delay := k.trial.backoff.next(0, e)
	if k.trial.backoff.failed >= trialStarts {
		k.goBack("its workers did not become ready; the last one " + e.reason)
		return
	}
	k.Log.Warn().Str("program", k.trial.program).Dur("delay", delay).Msg("worker " + e.reason + "; another try")
	k.timer.Reset(delay)
}

// goBack goes on with the program that this keeper still is.
func (k *keeper) goBack(reason string) {
	k.upgradeFailed(reason)
	k.leave(goBack)
}

func (k *keeper) upgradeFailed(reason string) {
	u := k.status.Upgrade
	u.Done, u.Error = true, reason
	k.Log.Error().Str("from", u.From).Str("to", u.To).Str("reason", reason).Msg("upgrade failed")
	k.check(k.systemd.notify(message{"STATUS=Upgrade to " + u.To + " failed"}))
	k.saveStatus()
}

// executeNew executes the new program, whose worker serves by now, and goes on with
// that worker. It returns only if it fails; then so does this keeper.
func (k *keeper) executeNew() {
	program := k.trial.program
	k.trial = trial{}
	k.upgradeFailed(k.execute(program).Error())
}

func (k *keeper) execute(program string) error {
	socket, err := k.worker.conn.Duplicate()
	if err != nil {
		return err
	}
	defer socket.Close()
	s := &state{
		Stored: k.store.numbers(), Executable: program, Status: &k.status,
		Worker:   &workerState{PID: k.worker.process.Pid, Socket: socket.Int()},
		Unreaped: slices.Collect(maps.Keys(k.unreaped)),
	}
	signal.Ignore(syscall.SIGHUP) // until the program asks for it: it would end it
	defer signal.Notify(k.hangup, syscall.SIGHUP)
	return s.exec(program, append([]string{program}, os.Args[1:]...))
}
