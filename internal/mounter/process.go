package mounter

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"

	"cloister/internal/sealed"
	"cloister/internal/sys"
)

// Process is the mounter as the daemon knows it.
type Process struct {
	// PID and LockedFD are where sealed.Open finds the workshop.
	PID      int
	LockedFD int

	process *os.Process
	conn    *sys.PacketConn
	ended   chan struct{} // closed when the process is no more

	mu     sync.Mutex
	lastID uint64                  // guarded by mu
	asked  map[uint64]chan message // by id, guarded by mu
}

// Args are the arguments with which Start runs this program; Main is to be called.
var Args = []string{"hook", "mounter"}

// connFD is the process's end of the connection.
const connFD = 3

// startLimit is how long the process may take to be ready.
const startLimit = 10 * time.Second

// maxMessage is the longest one.
const maxMessage = 192 << 10

// order is what the process is told first.
type order struct {
	ViewsDirs []string `json:"viewsDirs"`
}

// ready is its answer.
type ready struct {
	LockedFD int    `json:"lockedFd"`
	Error    string `json:"error,omitempty"`
}

// Start starts the process. Its workshop has what is mounted below viewsDirs now. It
// ends with Close, and with this process.
func Start(viewsDirs ...string) (_ *Process, err error) {
	conn, theirs, err := sys.PacketPair()
	if err != nil {
		return nil, err
	}
	p := &Process{conn: conn, ended: make(chan struct{}), asked: map[uint64]chan message{}}
	started := make(chan error)
	go p.run(theirs, started)
	if err := errors.Join(<-started, theirs.Close()); err != nil {
		return nil, errors.Join(fmt.Errorf("start mounter: %w", err), conn.Close())
	}
	if err := p.meet(viewsDirs); err != nil {
		return nil, errors.Join(fmt.Errorf("start mounter: %w", err), p.Close())
	}
	go p.receive()
	return p, nil
}

// run starts the process and waits for its end, on a thread that is there as long.
func (p *Process) run(theirs *os.File, started chan<- error) {
	runtime.LockOSThread() // Pdeathsig is about the thread
	defer runtime.UnlockOSThread()
	cmd := exec.Command("/proc/self/exe", Args...)
	cmd.Stderr = os.Stderr
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	err := cmd.Start()
	if err == nil {
		p.process, p.PID = cmd.Process, cmd.Process.Pid
	}
	started <- err
	if err == nil {
		_ = cmd.Wait() // however it has ended, it has
		close(p.ended)
	}
}

// meet tells the process what it needs, and waits until it is ready.
func (p *Process) meet(viewsDirs []string) error {
	text, err := json.Marshal(order{viewsDirs})
	if err != nil {
		return err
	}
	if err := p.conn.Send(string(text)); err != nil {
		return err
	}
	late := time.AfterFunc(startLimit, func() { _ = p.process.Kill() })
	answer, _, err := p.conn.Receive(make([]byte, maxMessage))
	if !late.Stop() {
		return fmt.Errorf("not ready after %v", startLimit)
	}
	if errors.Is(err, io.EOF) {
		return errors.New("it has ended")
	}
	if err != nil {
		return err
	}
	var r ready
	if err := json.Unmarshal([]byte(answer), &r); err != nil {
		return err
	}
	if r.Error != "" {
		return errors.New(r.Error)
	}
	p.LockedFD = r.LockedFD
	return nil
}

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.ended }

// closeLimit is how long Close waits for the end of a killed process: one that a
// container's file system holds in the kernel goes when that lets it.
const closeLimit = time.Second

// Close ends the process.
func (p *Process) Close() error {
	err := p.conn.Close()
	if killed := p.process.Kill(); !errors.Is(killed, os.ErrProcessDone) {
		err = errors.Join(err, killed)
	}
	select {
	case <-p.ended:
	case <-time.After(closeLimit):
	}
	return err
}

// Main is what the process does. It must be called on the main thread, locked, which it
// leaves in the workshop.
func Main() error {
	conn, err := sys.NewPacketConn(connFD)
	if err != nil {
		return fmt.Errorf("this is a process of the daemon: %w", err)
	}
	text, _, err := conn.Receive(make([]byte, maxMessage))
	if err != nil {
		return err
	}
	var o order
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return err
	}
	cgroups, err := openCgroups()
	if err != nil {
		return err
	}
	w, err := sealed.Build(o.ViewsDirs)
	answer := ready{}
	if err != nil {
		answer.Error = err.Error()
	} else {
		answer.LockedFD = w.LockedFD()
	}
	reply, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	if err := conn.Send(string(reply)); err != nil || answer.Error != "" {
		return err // or nil: the daemon has been told
	}
	return serve(conn, w, cgroups)
}
