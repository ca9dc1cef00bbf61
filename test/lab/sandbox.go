package lab

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Sandbox is a mount and a network namespace in which engines and runtimes run. On
// a host that mounts the unified cgroup hierarchy beside the old ones it is not
// mounted here, because crun gives up there.
type Sandbox struct {
	holder *exec.Cmd
	input  io.Closer
}

// libraryDir is where Debian has the libraries of programs.
const libraryDir = "/usr/lib/x86_64-linux-gnu"

// NewSandbox makes a sandbox. If packages is the directory of unpacked packages of another
// suite of Debian, programs in the sandbox use its libraries where it has them.
func NewSandbox(packages string) (*Sandbox, error) {
	cmd := exec.Command("sh", "-c", `
		# crun makes directories at the place where it was.
		grep -q ' /sys/fs/cgroup/unified ' /proc/self/mountinfo && umount /sys/fs/cgroup/unified && mount -t tmpfs none /sys/fs/cgroup/unified
		ip link set lo up
		[ -z "$1" ] || mount -t overlay -o "lowerdir=$1$2:$2" none "$2" || exit
		echo ready
		exec cat`, "sh", packages, libraryDir)
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
	return &Sandbox{holder: cmd, input: input}, nil
}

// Close ends it.
func (s *Sandbox) Close() error {
	return errors.Join(s.input.Close(), s.holder.Wait())
}

// EnterArgs is how many arguments come before those of a command in a sandbox.
const EnterArgs = 6

// Command makes a command that runs in the lab's sandbox, with the environment that
// leads to its daemon and engine.
func (l *Lab) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	return l.CommandIn(ctx, l.Sandbox, name, args...)
}

// CommandIn makes one that runs in another sandbox.
func (l *Lab) CommandIn(ctx context.Context, s *Sandbox, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "nsenter", append([]string{
		"-t", strconv.Itoa(s.holder.Process.Pid), "-m", "-n", "--", name,
	}, args...)...)
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), "CLOISTER_RUN_DIR="+l.Daemon.RunDir, "DOCKER_HOST=unix://"+l.Docker.Socket())
	if name == l.Wrapper {
		// On a busy machine Go interrupts its goroutines by SIGURG, which runc 1.1 passes
		// on to the program in the container. It ends top, without a word.
		cmd.Env = append(cmd.Env, "GODEBUG=asyncpreemptoff=1")
	}
	cmd.WaitDelay = 5 * time.Second // a container may keep the pipes of a killed command
	return cmd
}
