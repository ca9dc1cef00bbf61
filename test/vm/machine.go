package vm

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
)

// Machine is a running Guest. It runs one script at a time and is not safe for
// concurrent use.
type Machine struct {
	dir   string
	input io.WriteCloser // the guest's second serial port
	pipe  *os.File       // its other direction
	lines *bufio.Reader  // of pipe
	kill  context.CancelFunc
	ended chan struct{} // closed when qemu has ended
	// stderr is what qemu has to say. Written before ended is closed.
	stderr bytes.Buffer
}

// Boot starts a guest, whose files are kept in dir, an empty directory, and waits
// until it can run scripts. When ctx is done, so is the machine.
func (g *Guest) Boot(ctx context.Context, dir string) (*Machine, error) {
	if err := g.prepare(ctx, dir); err != nil {
		return nil, err
	}
	qemu, err := look("qemu-system-x86_64")
	if err != nil {
		return nil, err
	}
	life, kill := context.WithCancel(ctx)
	m := &Machine{dir: dir, kill: kill, ended: make(chan struct{})}
	cmd := exec.CommandContext(life, qemu, g.args()...)
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // the end of the test is that of qemu
	cmd.Stderr = &m.stderr
	if err := m.start(cmd); err != nil {
		kill()
		return nil, err
	}
	if _, err := m.readUntil("ready", io.Discard); err != nil {
		return nil, errors.Join(context.Cause(ctx), fmt.Errorf("boot kernel %s: %w", g.Kernel.Release, err), m.Close())
	}
	return m, nil
}

// start starts qemu, connected to m.
func (m *Machine) start(cmd *exec.Cmd) (err error) {
	if m.input, err = cmd.StdinPipe(); err != nil {
		return err
	}
	in, out, err := os.Pipe()
	if err != nil {
		return err
	}
	defer out.Close() // qemu has its own
	cmd.Stdout = out
	m.pipe, m.lines = in, bufio.NewReader(in)
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // Pdeathsig is sent when the thread ends that started qemu
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // it ends by being killed, or has said why
		}
		close(m.ended)
	}()
	if err := <-started; err != nil {
		return errors.Join(err, in.Close())
	}
	return nil
}

// Run runs a shell script in the guest and returns its exit status. What it prints,
// also as errors, is written to w as it comes. If ctx is done before the script,
// the machine is stopped, and after an error it can't be used any more.
func (m *Machine) Run(ctx context.Context, w io.Writer, script string) (status int, err error) {
	stop := context.AfterFunc(ctx, m.kill)
	defer stop()
	mark := rand.Text()
	if _, err := fmt.Fprintf(m.input, "%s %s\n", mark, base64.StdEncoding.EncodeToString([]byte(script))); err != nil {
		return 0, errors.Join(context.Cause(ctx), m.lost(err))
	}
	rest, err := m.readUntil(mark, w)
	if err != nil {
		return 0, errors.Join(context.Cause(ctx), err)
	}
	return strconv.Atoi(rest)
}

// readUntil copies what the guest sends to w, up to a mark, and returns the rest of
// the mark's line.
func (m *Machine) readUntil(mark string, w io.Writer) (rest string, err error) {
	for {
		line, err := m.lines.ReadString('\n')
		text, rest, found := strings.Cut(line, mark)
		if _, err := io.WriteString(w, text); err != nil {
			return "", err
		}
		switch {
		case err != nil:
			return "", m.lost(err)
		case found:
			return strings.TrimSpace(rest), nil
		}
	}
}

// lost describes the end of a guest that was not expected to end.
func (m *Machine) lost(err error) error {
	m.kill()
	<-m.ended
	return fmt.Errorf("the guest is gone: %w\n%s%s", err, m.stderr.String(), m.Console())
}

// Console returns the end of what the guest's kernel has printed.
func (m *Machine) Console() string {
	const tail = 8 << 10
	text, err := os.ReadFile(filepath.Join(m.dir, consoleFile))
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-tail):])
}

// Close stops the machine. What the guest has not written to its disk is lost.
func (m *Machine) Close() error {
	m.kill()
	<-m.ended
	return m.pipe.Close()
}
