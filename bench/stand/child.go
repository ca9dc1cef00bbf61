package stand

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// patience is how long each of the children may take to start or to end.
const patience = 20 * time.Second

// Child is a process that runs until the stand is closed.
type Child struct {
	// Stop asks it to end; by default with SIGTERM.
	Stop func() error
	// Clear removes what it has left, if anything.
	Clear func() error

	name string
	done chan struct{} // closed when it has ended, with
	err  error         // in this way
}

// Start starts a child, out of reach of the terminal's Ctrl-C: it is ended in turn.
func (s *Stand) Start(name string, cmd *exec.Cmd) (*Child, error) {
	log, err := os.Create(s.log(name))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	c := &Child{name: name, done: make(chan struct{})}
	c.Stop = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	go func() {
		c.err = cmd.Wait()
		close(c.done)
	}()
	s.running = append(s.running, c)
	return c, nil
}

func (s *Stand) log(name string) string { return filepath.Join(s.Dir, name+".log") }

// Ready waits until a child does what it should.
func (s *Stand) Ready(ctx context.Context, c *Child, works func() error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := works()
		if err == nil {
			return nil
		}
		select {
		case <-c.done:
			log, _ := os.ReadFile(s.log(c.name))
			return fmt.Errorf("%s: %w\n%s", c.name, errors.Join(c.err, err), log)
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", c.name, errors.Join(ctx.Err(), err))
		case <-tick.C:
		}
	}
}

// end ends a child. With what status does not matter.
func (c *Child) end() error {
	select {
	case <-c.done:
		return c.clear()
	default:
	}
	stopped := c.Stop()
	select {
	case <-c.done:
		return c.clear()
	case <-time.After(patience):
		return errors.Join(fmt.Errorf("%s does not end", c.name), stopped)
	}
}

func (c *Child) clear() error {
	if c.Clear == nil {
		return nil
	}
	return c.Clear()
}
