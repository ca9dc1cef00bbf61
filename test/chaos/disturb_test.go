//go:build chaos

package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"syscall"
	"time"

	"cloister/internal/keeper"
)

// disturbance is something that the daemon goes through.
type disturbance string

const (
	killWorker disturbance = "worker killed"
	killTwice  disturbance = "worker killed while it starts"
	stopWorker disturbance = "worker stopped"
	crash      disturbance = "worker panics"
	killKeeper disturbance = "keeper killed"
	hangup     disturbance = "SIGHUP"
	upgrade    disturbance = "upgrade"
	terminate  disturbance = "worker terminated"
)

// plan is how often each is done.
type plan map[disturbance]int

var (
	short = plan{killWorker: 30, killTwice: 5, stopWorker: 3, crash: 1, killKeeper: 2, hangup: 2, upgrade: 4, terminate: 3}
	long  = plan{killWorker: 160, killTwice: 20, stopWorker: 10, crash: 3, killKeeper: 5, hangup: 5, upgrade: 20, terminate: 10}
)

// order returns the disturbances in a random order.
func (p plan) order() (all []disturbance) {
	for d, n := range p {
		for range n {
			all = append(all, d)
		}
	}
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// moment is when one was.
type moment struct {
	disturbance
	begin, end time.Time
}

// troublemaker does the disturbances.
type troublemaker struct {
	*world
	moments  []moment
	restarts int // that there must have been
	hung     int // of these: workers that hung
	program  int // that runs
}

// perform does one, and waits until a worker serves again.
func (m *troublemaker) perform(d disturbance) error {
	begin := time.Now()
	k, err := m.keeper()
	if err != nil {
		return err
	}
	if err := m.act(d, k); err != nil {
		return fmt.Errorf("%s: %w", d, err)
	}
	if err := m.recovered(d, k); err != nil {
		return fmt.Errorf("%s: %w", d, err)
	}
	m.moments = append(m.moments, moment{d, begin, time.Now()})
	return nil
}

func (m *troublemaker) act(d disturbance, k *keeper.Status) error {
	switch d {
	case killWorker:
		return m.hit(k.WorkerPID, syscall.SIGKILL)
	case killTwice:
		return m.killTwice(k)
	case terminate:
		m.restarts-- // it hands over, which is none
		return m.hit(k.WorkerPID, syscall.SIGTERM)
	case stopWorker:
		m.hung++
		return m.hit(k.WorkerPID, syscall.SIGSTOP)
	case crash:
		return m.hit(k.WorkerPID, syscall.SIGUSR1)
	case killKeeper:
		return m.killKeeper(k)
	case hangup:
		return m.gone(k.PID, syscall.SIGHUP)
	case upgrade:
		return m.upgrade()
	}
	return errors.New("nobody knows how")
}

// hit sends a signal that is to end a worker.
func (m *troublemaker) hit(pid int, s syscall.Signal) error {
	m.restarts++
	return m.gone(pid, s)
}

func (m *troublemaker) gone(pid int, s syscall.Signal) error {
	if !m.signal(pid, s) {
		return fmt.Errorf("process %d is gone before its time", pid)
	}
	return nil
}

// killTwice kills a worker, and the next one somewhere on its way.
func (m *troublemaker) killTwice(k *keeper.Status) error {
	if err := m.hit(k.WorkerPID, syscall.SIGKILL); err != nil {
		return err
	}
	var next *keeper.Status
	err := eventually("another worker is started", func() (ok bool) {
		var err error
		next, err = m.keeper()
		return err == nil && next.WorkerPID != 0 && next.WorkerPID != k.WorkerPID
	})
	if err != nil {
		return err
	}
	time.Sleep(rand.N(20 * time.Millisecond)) // to any moment of its start: nothing is waited for
	return m.hit(next.WorkerPID, syscall.SIGKILL)
}

// killKeeper makes sure first that it has counted right: the next one goes on from there,
// and counts itself, the worker that has taken its place.
func (m *troublemaker) killKeeper(k *keeper.Status) error {
	if err := m.counted(); err != nil {
		return err
	}
	return m.hit(k.PID, syscall.SIGKILL)
}

// counted makes sure that the keeper has seen all that was done to its workers. On a busy
// machine it may find one hung that only waits for a CPU: the watchdog is a short one.
func (m *troublemaker) counted() error {
	k, err := m.keeper()
	if err != nil {
		return err
	}
	more, hung := k.Restarts-m.restarts, k.Kills-m.hung
	if more < 0 || hung < 0 || more > hung {
		return fmt.Errorf("the keeper counts %d restarts, %d of workers that hung; want %d, %d", k.Restarts, k.Kills, m.restarts, m.hung)
	}
	return nil
}

// upgrade has the daemon go on as the other program.
func (m *troublemaker) upgrade() error {
	m.program = 1 - m.program
	ctx, cancel := context.WithTimeout(context.Background(), commandLimit)
	defer cancel()
	cmd := m.Command(ctx, nil, "daemon", "--upgrade", m.programs[m.program])
	cmd.Stderr = nil
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}

// recovered waits until another worker answers than before.
func (m *troublemaker) recovered(d disturbance, before *keeper.Status) error {
	return eventually("a new worker answers", func() bool {
		s, err := m.Client.Status()
		if err != nil || s.WorkerPID == before.WorkerPID {
			return false
		}
		// Before it says whose it is, the keeper has to note that it runs.
		k, err := m.keeper()
		if err != nil || k.WorkerPID != s.WorkerPID || k.PID != s.PID {
			return false
		}
		_, err = os.Stat(fmt.Sprintf("/proc/%d", before.WorkerPID))
		return d == killKeeper || errors.Is(err, os.ErrNotExist)
	})
}
