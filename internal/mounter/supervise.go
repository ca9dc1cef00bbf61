package mounter

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"cloister/internal/sys"
)

// Pauses between attempts to start the process, each twice the last one.
const (
	firstPause = 100 * time.Millisecond
	lastPause  = 10 * time.Second
)

// Mounter is a Process that is started again whenever it ends.
type Mounter struct {
	viewsDirs []string
	log       zerolog.Logger
	first     chan error    // gets what comes of the first attempt to start
	closing   chan struct{} // closed by Close
	done      chan struct{} // closed when nothing runs any more
	closed    error         // what came of closing the last process; set before done

	mu      sync.Mutex
	process *Process      // guarded by mu; nil before the first, and may have ended
	changed chan struct{} // closed when there is another one; guarded by mu
}

// Keep starts the process as Start does, aside, and again whenever it ends or has not
// started, until Close.
func Keep(log zerolog.Logger, viewsDirs ...string) *Mounter {
	m := &Mounter{
		viewsDirs: viewsDirs, log: log, first: make(chan error, 1),
		closing: make(chan struct{}), done: make(chan struct{}), changed: make(chan struct{}),
	}
	go m.run()
	return m
}

// Started waits for the first attempt and returns what came of it. It must be called once.
func (m *Mounter) Started() error { return <-m.first }

func (m *Mounter) run() {
	defer close(m.done)
	for p := m.start(); p != nil; p = m.start() {
		select {
		case <-m.closing:
			m.closed = p.Close()
			return
		case <-p.Done():
		}
		m.log.Error().Int("pid", p.PID).Msg("the mounter has ended; another one is started")
		if err := p.Close(); err != nil {
			m.log.Error().Err(err).Msg("close connection to the mounter")
		}
	}
}

// start returns the next process, or nil after Close.
func (m *Mounter) start() *Process {
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		p, err := Start(m.viewsDirs...)
		if err == nil {
			m.set(p)
		}
		select {
		case m.first <- err:
		default:
		}
		if err == nil {
			return p
		}
		m.log.Error().Err(err).Msg("no container can start or mount proc and sysfs until the mounter is there")
		select {
		case <-m.closing:
			return nil
		case <-time.After(pause):
		}
	}
}

func (m *Mounter) set(p *Process) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.process = p
	close(m.changed)
	m.changed = make(chan struct{})
}

// Process returns the one that runs, nil if none has started yet. It may have ended just
// now.
func (m *Mounter) Process() *Process {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.process
}

// next waits until there is another process than p, or if that is nil the first.
func (m *Mounter) next(p *Process, deadline time.Time) (*Process, error) {
	late := time.NewTimer(time.Until(deadline))
	defer late.Stop()
	for {
		m.mu.Lock()
		now, changed := m.process, m.changed
		m.mu.Unlock()
		if now != p {
			return now, nil
		}
		select {
		case <-changed:
		case <-m.closing:
			return nil, errEnded
		case <-late.C:
			return nil, fmt.Errorf("there is no mounter, as the daemon's log says: %w", os.ErrDeadlineExceeded)
		}
	}
}

// mount serves a request as Process.mount does, by another process if one ends meanwhile.
func (m *Mounter) mount(r *request, proc *sys.FD, note func(uint64) error) (reply, error) {
	deadline := time.Now().Add(r.Timeout)
	p, err := m.next(nil, deadline)
	for err == nil {
		var answer reply
		answer, err = p.mount(r, proc, func(id uint64) error {
			r.Noted = id
			return note(id)
		})
		if !errors.Is(err, errEnded) {
			return answer, err
		}
		p, err = m.next(p, deadline)
		r.Timeout = time.Until(deadline)
	}
	return reply{}, err
}

// Drop tells that a container has ended.
func (m *Mounter) Drop(container string) {
	p := m.Process()
	if p == nil {
		return
	}
	if err := p.Drop(container); err != nil {
		m.log.Debug().Err(err).Str("cid", container).Msg("the mounter has ended, and with it what it kept")
	}
}

// Close ends the process.
func (m *Mounter) Close() error {
	close(m.closing)
	<-m.done
	return m.closed
}
