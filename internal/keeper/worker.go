package keeper

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"cloister/internal/sys"
)

// worker is a process that was started by the keeper.
type worker struct {
	process *os.Process
	conn    *sys.PacketConn

	ready  time.Time // zero until it is
	silent int       // ticks of the watchdog since its last message
	killed string    // why the keeper has killed it
	failed string    // why it ends, as it says
}

// event is what a worker's goroutine tells the keeper: a message with descriptors,
// or that the process has ended.
type event struct {
	*worker
	message message
	fds     []*sys.FD
	exit    *exit
}

// exit is the end of a worker.
type exit struct {
	err      error // nil for status 0
	reason   string
	byOthers bool // the worker is not to blame
	crashed  bool // it could not say why
}

const (
	// socketEnv holds the number of the worker's end of the socket.
	socketEnv = "CLOISTER_KEEPER_SOCKET"
	// ownImage is the program that runs, whatever is at its path by now.
	ownImage = "/proc/self/exe"
)

// startWorker starts a process with the other end of the socket. All of the greeting that
// the socket has room for is there before the process is, and so even if the keeper dies
// now. The rest is for run.
func startWorker(program string, argv []string, greeting []packet) (w *worker, rest []packet, err error) {
	conn, theirs, err := sys.PacketPair()
	if err != nil {
		return nil, nil, err
	}
	defer theirs.Close()
	for len(greeting) > 0 && conn.TrySend(greeting[0].String(), greeting[0].fds...) == nil {
		greeting = greeting[1:]
	}
	cmd := exec.Command(program)
	cmd.Args = argv
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.Env = append(workerEnv(), socketEnv+"=3")
	// What a terminal sends at ^C is for the keeper, which tells the worker.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, nil, errors.Join(err, conn.Close())
	}
	return &worker{process: cmd.Process, conn: conn}, greeting, nil
}

// inheritWorker returns the worker of the program before.
func inheritWorker(s *workerState) (*worker, error) {
	process, err := os.FindProcess(s.PID)
	if err != nil {
		return nil, err
	}
	conn, err := sys.NewPacketConn(s.Socket)
	if err != nil {
		return nil, fmt.Errorf("socket of the worker: %w", err)
	}
	return &worker{process: process, conn: conn, ready: time.Now()}, nil
}

// workerEnv hides systemd: it hears of the worker through the keeper.
func workerEnv() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return slices.Contains([]string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}, name)
	})
}

// run sends the greeting's rest, passes the worker's messages on, and waits for its
// end: all that it has said comes before that. It waits where the keeper must not.
func (w *worker) run(greeting []packet, emit func(event)) {
	for _, p := range greeting {
		if w.conn.Send(p.String(), p.fds...) != nil {
			break // the worker then misses something, and can't start
		}
	}
	buf := make([]byte, maxMessage)
	for {
		text, fds, err := w.conn.Receive(buf)
		if err != nil {
			break
		}
		emit(event{worker: w, message: parse(text), fds: fds})
	}
	_ = w.conn.Close() // may have been closed to end this
	w.wait(emit)
}

// wait reaps the process.
func (w *worker) wait(emit func(event)) {
	state, err := w.process.Wait()
	if err != nil {
		emit(event{worker: w, exit: &exit{err: err, reason: "is gone: " + err.Error()}})
		return
	}
	emit(event{worker: w, exit: exitOf(state)})
}

func exitOf(state *os.ProcessState) *exit {
	e := &exit{
		reason:  fmt.Sprintf("exited with status %d", state.ExitCode()),
		crashed: state.ExitCode() != 1, // as one that was killed, or Go's panic
	}
	if e.byOthers = state.Success(); !e.byOthers { // it was told to hand over
		e.err = &exec.ExitError{ProcessState: state}
	}
	if ws, ok := state.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		e.reason = "was killed by " + unix.SignalName(ws.Signal())
		// A program that fails ends by itself or by other signals.
		e.byOthers = ws.Signal() == syscall.SIGKILL || ws.Signal() == syscall.SIGTERM
	}
	return e
}

// readyFor returns how long the worker has been ready, 0 if never.
func (w *worker) readyFor() time.Duration {
	if w.ready.IsZero() {
		return 0
	}
	return max(time.Since(w.ready), 1)
}
