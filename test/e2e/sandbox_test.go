//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"cloister/test/lab"
)

// commandTimeout bounds every command. It is for a hang, not a measure: virtual
// machines without hardware support are slow.
const commandTimeout = 4 * time.Minute

// result is what a command left.
type result struct {
	command        string
	stdout, stderr string
	status         int
}

// all returns both outputs.
func (r result) all() string { return r.stdout + r.stderr }

func (r result) String() string {
	return fmt.Sprintf("%s\nexit status %d\n--- stdout\n%s--- stderr\n%s", r.command, r.status, r.stdout, r.stderr)
}

// sh runs a command in the sandbox.
func sh(t *testing.T, name string, args ...string) result {
	t.Helper()
	return shInput(t, nil, name, args...)
}

func shInput(t *testing.T, stdin io.Reader, name string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), commandTimeout)
	defer cancel()
	cmd := world.Command(ctx, name, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &stdout, &stderr
	err := cmd.Run()
	if ctx.Err() != nil {
		t.Fatalf("%v: no end within %v\n%s%s", cmd.Args, commandTimeout, stdout.String(), stderr.String())
	}
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return result{
		command: strings.Join(cmd.Args[lab.EnterArgs:], " "), status: cmd.ProcessState.ExitCode(),
		stdout: stdout.String(), stderr: stderr.String(),
	}
}

// ok fails the test unless the command succeeded.
func (r result) ok(t *testing.T) result {
	t.Helper()
	if r.status != 0 {
		t.Fatalf("failed: %v", r)
	}
	return r
}

// out returns the standard output without the last line feed, of a command that
// must have succeeded.
func (r result) out(t *testing.T) string {
	t.Helper()
	return strings.TrimSpace(r.ok(t).stdout)
}

// prints fails the test unless the command succeeded and printed want.
func (r result) prints(t *testing.T, want string) {
	t.Helper()
	if got := r.out(t); got != want {
		t.Errorf("got %q, want %q\n%v", got, want, r)
	}
}

// refused fails the test unless the command failed and said why.
func (r result) refused(t *testing.T, want string) {
	t.Helper()
	if r.status == 0 || !strings.Contains(r.all(), want) {
		t.Errorf("got %v, want a failure with %q", r, want)
	}
}

// need skips a test for lack of a program. Where the suite is told to be strict, a
// program that can be installed must not be missing.
func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err == nil {
			continue
		}
		if os.Getenv("CLOISTER_TEST_STRICT") != "" {
			t.Fatalf("%s is not installed", p)
		}
		t.Skipf("%s is not installed", p)
	}
}

// eventually polls until ok, for what other processes do in their own time.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(time.Minute)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not within a minute: %s", what)
		}
	}
}
