//go:build e2e

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// commandTimeout bounds every command. It is for a hang, not a measure: virtual
// machines without hardware support are slow.
const commandTimeout = 4 * time.Minute

// sandbox is a mount and a network namespace in which engines and runtimes run. On
// a host that mounts the unified cgroup hierarchy beside the old ones it is not
// mounted here, because crun gives up there.
type sandbox struct {
	holder *exec.Cmd
	input  io.Closer
}

func newSandbox() (*sandbox, error) {
	cmd := exec.Command("sh", "-c", `
		# crun makes directories at the place where it was.
		grep -q ' /sys/fs/cgroup/unified ' /proc/self/mountinfo && umount /sys/fs/cgroup/unified && mount -t tmpfs none /sys/fs/cgroup/unified
		ip link set lo up
		echo ready
		exec cat`)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Unshareflags: unix.CLONE_NEWNS | unix.CLONE_NEWNET, // Go makes all mounts private with it
		Pdeathsig:    syscall.SIGKILL,
	}
	input, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	output, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	if line, err := bufio.NewReader(output).ReadString('\n'); err != nil || line != "ready\n" {
		return nil, fmt.Errorf("sandbox: got %q, %w", line, err)
	}
	return &sandbox{holder: cmd, input: input}, nil
}

func (s *sandbox) close() error {
	return errors.Join(s.input.Close(), s.holder.Wait())
}

// command makes a command that runs in the sandbox, with the environment that
// leads to the tests' daemon.
func (s *sandbox) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "nsenter", append([]string{
		"-t", strconv.Itoa(s.holder.Process.Pid), "-m", "-n", "--", name,
	}, args...)...)
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), "CLOISTER_RUN_DIR="+world.daemon.runDir, "DOCKER_HOST=unix://"+docker.socket())
	if name == world.wrapper {
		// On a busy machine Go interrupts its goroutines by SIGURG, which runc 1.1 passes
		// on to the program in the container. It ends top, without a word.
		cmd.Env = append(cmd.Env, "GODEBUG=asyncpreemptoff=1")
	}
	cmd.WaitDelay = 5 * time.Second // a container may keep the pipes of a killed command
	return cmd
}

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
	cmd := world.sandbox.command(ctx, name, args...)
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
		command: strings.Join(cmd.Args[6:], " "), status: cmd.ProcessState.ExitCode(),
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
