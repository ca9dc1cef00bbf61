package mounter

import (
	"errors"
	"fmt"
	"os"
	"time"

	"cloister/internal/sys"
)

// errEnded tells that the process has ended before it has answered.
var errEnded = errors.New("the mounter has ended")

// receive hands out what the process says, until it ends.
func (p *Process) receive() {
	buf := make([]byte, maxMessage)
	for {
		m, fds, err := receive(p.conn, buf)
		if err == nil && m.Reply != nil && len(fds) == 1 {
			m.Reply.socket, fds = fds[0], nil
		}
		for _, fd := range fds { // it has no more to give
			_ = fd.Close()
		}
		if err != nil {
			return // its end is told by ended
		}
		p.mu.Lock()
		asked := p.asked[m.ID]
		if asked != nil {
			asked <- m // which has room for all that comes
		}
		p.mu.Unlock()
		if asked == nil {
			m.forget()
		}
	}
}

// forget closes what nobody waits for.
func (m message) forget() {
	if m.Reply != nil {
		_ = m.Reply.socket.Close() // unused
	}
}

// mount has the process serve a request of the caller whose directory in /proc is open.
// note is called with the id of the mount that it is about to attach, and its error keeps
// it from that.
func (p *Process) mount(r *request, proc *sys.FD, note func(uint64) error) (reply, error) {
	answers := make(chan message, 2) // a note and the reply
	p.mu.Lock()
	p.lastID++
	id := p.lastID
	p.asked[id] = answers
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		delete(p.asked, id)
		p.mu.Unlock()
		for len(answers) > 0 {
			(<-answers).forget()
		}
	}()
	if err := send(p.conn, message{ID: id, Request: r}, proc.Int()); err != nil {
		return reply{}, fmt.Errorf("%w: %w", errEnded, err)
	}
	// The process observes the limit, and this if it can't.
	late := time.NewTimer(r.Timeout + time.Second)
	defer late.Stop()
	for {
		select {
		case m := <-answers:
			if m.Reply != nil {
				return *m.Reply, nil
			}
			refused := note(m.Note)
			if err := send(p.conn, message{ID: id, Noted: refused == nil, Gone: refused != nil}); err != nil {
				return reply{}, errors.Join(refused, fmt.Errorf("%w: %w", errEnded, err))
			}
			if refused != nil {
				return reply{}, refused
			}
		case <-p.ended:
			return reply{}, errEnded
		case <-late.C:
			return reply{}, os.ErrDeadlineExceeded
		}
	}
}

// Drop tells that a container has ended.
func (p *Process) Drop(container string) error { return send(p.conn, message{Drop: container}) }
