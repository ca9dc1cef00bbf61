package mounter

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"cloister/internal/sealed"
	"cloister/internal/sys"
)

const (
	// serviceLimit is how long a request takes at most, and perContainer how many of a
	// container are served at a time. One that is stuck in a file system keeps its place.
	serviceLimit = 5 * time.Second
	perContainer = 4
)

// server is the other end of Process.
type server struct {
	conn   *sys.PacketConn
	trees  trees
	jobs   chan func() // for the thread of the workshop
	limit  limit
	spares spares
	userns sys.FileID // the server's own

	cgroups *sys.FD // the cgroup2 tree; nil if there is none

	mu    sync.Mutex
	noted map[uint64]chan error // by id of a request, gets what comes of its note; guarded by mu
}

// serve serves requests until the other end is closed. The calling thread is the
// workshop's.
func serve(conn *sys.PacketConn, w *sealed.Workshop, cgroups *sys.FD) error {
	own, err := sys.OpenThreadNamespace("user")
	if err != nil {
		return err
	}
	s := &server{
		conn: conn, trees: trees{workshop: w}, jobs: make(chan func()), userns: own.ID(),
		limit: limit{each: perContainer, queues: map[string]*queue{}}, spares: spares{stubs: make(chan *sys.Stub, 1)}, noted: map[uint64]chan error{},
		cgroups: cgroups,
	}
	if err := own.Close(); err != nil {
		return err
	}
	go s.spares.add()
	ended := make(chan error)
	go func() { ended <- s.receive() }()
	for {
		select {
		case job := <-s.jobs:
			job()
		case err := <-ended:
			return err
		}
	}
}

// receive takes what the daemon says, until it closes its end.
func (s *server) receive() error {
	buf := make([]byte, maxMessage)
	for {
		m, fds, err := receive(s.conn, buf)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err // the daemon's words are whole, or something is very wrong
		}
		switch {
		case m.Request != nil && len(fds) == 1:
			go s.answer(m.ID, m.Request, fds[0])
		case m.Noted:
			s.hear(m.ID, nil)
		case m.Gone:
			s.hear(m.ID, errGone)
		case m.Drop != "":
			go s.drop(m.Drop)
		default:
			return fmt.Errorf("a message from the daemon makes no sense: %d descriptors", len(fds))
		}
	}
}

func (s *server) drop(container string) {
	s.jobs <- func() {
		if err := s.trees.drop(container); err != nil {
			fmt.Fprintf(os.Stderr, "mounter: container %s: %v\n", container, err)
		}
	}
}

func (s *server) answer(id uint64, r *request, proc *sys.FD) {
	defer proc.Close()
	answer := s.recovered(id, r, proc)
	defer answer.socket.Close() // the daemon has a copy
	defer s.spares.add()
	var fds []int
	if answer.socket != nil {
		fds = append(fds, answer.socket.Int())
	}
	if err := send(s.conn, message{ID: id, Reply: &answer}, fds...); err != nil {
		fmt.Fprintf(os.Stderr, "mounter: answer: %v\n", err) // the daemon is gone, and so are we soon
	}
}

// recovered has one request fail if serving it crashes.
func (s *server) recovered(id uint64, r *request, proc *sys.FD) (answer reply) {
	defer func() {
		if v := recover(); v != nil {
			answer = reply{Errno: unix.EIO, Error: fmt.Sprintf("crash: %v\n%s", v, debug.Stack())}
		}
	}()
	deadline := time.Now().Add(min(r.Timeout, serviceLimit))
	leave, ok := s.limit.enter(r.Container, deadline)
	if !ok {
		return reply{Errno: unix.EBUSY}
	}
	m := &mount{server: s, request: r, id: id, deadline: deadline}
	defer m.end(leave)
	answer = asReply(m.serve(proc))
	answer.socket = m.made
	return answer
}

// errContinue says that the kernel gives the right answer.
var errContinue = errors.New("the kernel is to do it")

// refusal is an error that is the caller's: what the kernel says to what it wants.
type refusal struct{ error }

func (r refusal) Unwrap() error { return r.error }

// asReply returns what the caller gets: the kernel's error if the caller is refused
// something, and EIO for all else, which is logged.
func asReply(err error) reply {
	var refused refusal
	var errno unix.Errno
	switch {
	case err == nil:
		return reply{}
	case errors.Is(err, errContinue):
		return reply{Continue: true}
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, sys.ErrStubGone):
	case errors.As(err, &refused) && errors.As(refused.error, &errno):
		return reply{Errno: errno}
	}
	return reply{Errno: unix.EIO, Error: err.Error()}
}

// onWorkshop calls f on the thread of the workshop and returns its tree.
func (s *server) onWorkshop(deadline time.Time, f func() (*sys.Tree, error)) (*sys.Tree, error) {
	type result struct {
		tree *sys.Tree
		err  error
	}
	done := make(chan result, 1)
	job := func() {
		r := result{err: errors.New("crash in the workshop")}
		defer func() {
			if v := recover(); v != nil {
				r.err = fmt.Errorf("%w: %v\n%s", r.err, v, debug.Stack())
			}
			done <- r
		}()
		r.tree, r.err = f()
	}
	late := time.NewTimer(time.Until(deadline))
	defer late.Stop()
	select {
	case s.jobs <- job:
		r := <-done // no container's file system is in its way
		return r.tree, r.err
	case <-late.C:
		return nil, fmt.Errorf("wait for the workshop: %w", os.ErrDeadlineExceeded)
	}
}

// errGone says that the caller waits no more.
var errGone = errors.New("the caller is gone")

// hear takes what the daemon says to a note.
func (s *server) hear(id uint64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if noted := s.noted[id]; noted != nil {
		noted <- err // which has room for the one answer
		delete(s.noted, id)
	}
}

// note has the daemon keep the id of a mount that is about to be attached.
func (s *server) note(id, mount uint64, deadline time.Time) error {
	noted := make(chan error, 1)
	s.mu.Lock()
	s.noted[id] = noted
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.noted, id)
	}()
	if err := send(s.conn, message{ID: id, Note: mount}); err != nil {
		return err
	}
	late := time.NewTimer(time.Until(deadline))
	defer late.Stop()
	select {
	case err := <-noted:
		return err
	case <-late.C:
		return fmt.Errorf("wait for the daemon to note a mount: %w", os.ErrDeadlineExceeded)
	}
}
