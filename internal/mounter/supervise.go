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
	closing   chan struct{} // closed by Close
	done      chan struct{} // closed when nothing runs any more

	mu      sync.Mutex
	process *Process      // guarded by mu; may have ended
	changed chan struct{} // closed when there is another one; guarded by mu
}

// Keep starts the process as Start does, and starts it again until Close.
func Keep(log zerolog.Logger, viewsDirs ...string) (*Mounter, error) {
	p, err := Start(viewsDirs...)
	if err != nil {
		return nil, err
	}
	m := &Mounter{
		viewsDirs: viewsDirs, log: log, closing: make(chan struct{}), done: make(chan struct{}),
		process: p, changed: make(chan struct{}),
	}
	go m.run(p)
	return m, nil
}

func (m *Mounter) run(p *Process) {
	defer close(m.done)
	for {
		select {
		case <-m.closing:
			return
		case <-p.Done():
		}
		m.log.Error().Int("pid", p.PID).Msg("the mounter has ended; another one is started")
		if p = m.again(p); p == nil {
			return
		}
	}
}

// again returns the next process, or nil after Close.
func (m *Mounter) again(old *Process) *Process {
	if err := old.Close(); err != nil {
		m.log.Error().Err(err).Msg("close connection to the mounter")
	}
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		p, err := Start(m.viewsDirs...)
		if err == nil {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.process = p
			close(m.changed)
			m.changed = make(chan struct{})
			return p
		}
		m.log.Error().Err(err).Msg("containers can't mount proc and sysfs until the mounter is there")
		select {
		case <-m.closing:
			return nil
		case <-time.After(pause):
		}
	}
}

// Process returns the one that runs. It may have ended just now.
func (m *Mounter) Process() *Process {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.process
}

// next waits until there is another process than p.
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
			return nil, fmt.Errorf("%w and there is no other yet: %w", errEnded, os.ErrDeadlineExceeded)
		}
	}
}

// mount serves a request as Process.mount does, by another process if one ends meanwhile.
func (m *Mounter) mount(r *request, proc *sys.FD, note func(uint64) error) (reply, error) {
	deadline := time.Now().Add(r.Timeout)
	p := m.Process()
	for {
		answer, err := p.mount(r, proc, func(id uint64) error {
			r.Noted = id
			return note(id)
		})
		if !errors.Is(err, errEnded) {
			return answer, err
		}
		if p, err = m.next(p, deadline); err != nil {
			return reply{}, err
		}
		r.Timeout = time.Until(deadline)
	}
}

// Drop tells that a container has ended.
func (m *Mounter) Drop(container string) {
	if err := m.Process().Drop(container); err != nil {
		m.log.Debug().Err(err).Str("cid", container).Msg("the mounter has ended, and with it what it kept")
	}
}

// Close ends the process.
func (m *Mounter) Close() error {
	close(m.closing)
	<-m.done
	return m.Process().Close()
}
