//go:build chaos

package chaos

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"
)

// maxFailures is how many failures are told in full.
const maxFailures = 20

// audience are the readers.
type audience struct {
	world   *world
	running []*exec.Cmd
	inputs  []io.Closer
	done    sync.WaitGroup
	trouble chan struct{} // closed when it makes no sense to go on
	once    sync.Once     // for that

	mu       sync.Mutex
	stalls   []*stall // guarded by mu
	failures []string // guarded by mu
	tally    tally    // guarded by mu
	ended    int      // readers that have told their tally; guarded by mu
}

// admit starts n readers of the containers.
func (w *world) admit(n int, containers []*container) (*audience, error) {
	a := &audience{world: w, trouble: make(chan struct{})}
	for i := range n {
		if err := a.start(i, containers); err != nil {
			return a, err
		}
	}
	return a, nil
}

func (a *audience) start(seed int, containers []*container) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d", readerEnv, seed))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	a.running, a.inputs = append(a.running, cmd), append(a.inputs, in)
	a.done.Go(func() { a.listen(json.NewDecoder(out)) })
	return json.NewEncoder(in).Encode(containers)
}

// listen notes what a reader tells.
func (a *audience) listen(from *json.Decoder) {
	for {
		var t report
		if err := from.Decode(&t); err != nil {
			return
		}
		if t.Hung {
			a.rescue()
		}
		a.note(&t)
	}
}

func (a *audience) note(t *report) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if t.Stall != nil {
		a.stalls = append(a.stalls, t.Stall)
	}
	if t.Tally != nil {
		a.ended++
		a.tally.Reads += t.Tally.Reads
		a.tally.Calls += t.Tally.Calls
		a.tally.Injected += t.Tally.Injected
	}
	if t.Failure == "" {
		return
	}
	a.failures = append(a.failures, t.Failure)
	if t.Hung || len(a.failures) == maxFailures {
		a.once.Do(func() { close(a.trouble) })
	}
}

// rescue ends the wait of readers that hang, which not even SIGKILL does: it aborts the
// connections. The daemon logs what it was at.
func (a *audience) rescue() {
	if k, err := a.world.keeper(); err == nil {
		a.world.signal(k.WorkerPID, unix.SIGABRT)
	}
	for _, tree := range []string{"exact", "pushed", "writable"} {
		_ = unix.Unmount(filepath.Join(a.world.Client.RunDir(), "views", tree), unix.MNT_FORCE)
	}
}

// dismiss ends the readers, and returns what they had to complain of.
func (a *audience) dismiss() error {
	var errs []error
	for _, in := range a.inputs {
		errs = append(errs, in.Close())
	}
	a.done.Wait()
	for _, cmd := range a.running {
		errs = append(errs, cmd.Wait())
	}
	if a.ended != len(a.running) {
		errs = append(errs, fmt.Errorf("%d of %d readers have ended early", len(a.running)-a.ended, len(a.running)))
	}
	if n := len(a.failures); n > 0 {
		errs = append(errs, fmt.Errorf("%d reads failed", n))
		for _, f := range a.failures[:min(n, maxFailures)] {
			errs = append(errs, errors.New(f))
		}
	}
	return errors.Join(errs...)
}
