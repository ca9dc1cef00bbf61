// Package talk has tests talk with processes, by lines. It needs nothing of package sys,
// whose tests use it as well.
package talk

import (
	"bufio"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"testing"
)

// Process is one that goes by its input, and ends with it.
type Process struct {
	PID int

	t   testing.TB
	in  io.WriteCloser
	out *bufio.Reader
	end func() error
}

// Start starts a command, which ends with the test at the latest.
func Start(t testing.TB, cmd *exec.Cmd) *Process {
	t.Helper()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &Process{PID: cmd.Process.Pid, t: t, in: in, out: bufio.NewReader(out)}
	p.end = sync.OnceValue(func() error {
		_ = in.Close() // which it may be
		return cmd.Wait()
	})
	t.Cleanup(func() { _ = p.end() }) // the test has asked, or does not mind
	return p
}

// Say sends lines.
func (p *Process) Say(lines ...string) {
	p.t.Helper()
	for _, line := range lines {
		if _, err := fmt.Fprintln(p.in, line); err != nil {
			p.t.Fatal(err)
		}
	}
}

// Hear waits for the next line, which must be this one.
func (p *Process) Hear(want string) {
	p.t.Helper()
	line, err := p.out.ReadString('\n')
	if got, whole := strings.CutSuffix(line, "\n"); !whole || got != want {
		p.t.Fatalf("%q, %v, want %q", line, err, want)
	}
}

// Rest ends the process's input and returns what it says after what was heard.
func (p *Process) Rest() string {
	p.t.Helper()
	if err := p.in.Close(); err != nil {
		p.t.Fatal(err)
	}
	text, err := io.ReadAll(p.out)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(text)
}

// End ends the process's input and waits for the process, whose last words are lost.
func (p *Process) End() error { return p.end() }
