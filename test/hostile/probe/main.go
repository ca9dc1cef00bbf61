// Command probe is what a hostile container runs. It is linked statically and knows the
// container from inside only.
//
//	probe rows             reads rows from its input and says what the kernel answers
//	probe race …           changes arguments while the kernel looks at them
//	probe fuzz …           makes calls with arguments that make no sense
//	probe load …           has many threads in calls until its input ends
//	probe latency …        measures sysinfo(2)
//	probe takeover …       becomes another program while a call waits
//	probe watch …          looks for processes that are not the container's
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// The first thread is the one that /proc/self is about.
func init() { runtime.LockOSThread() }

// apart are the commands that get a mount namespace of their own, all of their threads.
var apart = []string{"race", "fuzz", "load"}

// ownEnv tells a process that it has it.
const ownEnv = "PROBE_OWN"

var commands = map[string]func(args []string) error{
	"rows": rows, "row": row, "race": race, "fuzz": fuzz, "load": load, "latency": latency, "watch": watch,
	"takeover": takeover, "takeover-ask": takeoverAsk, "takeover-end": takeoverEnd,
}

func main() {
	command := commands[os.Args[1]]
	if slices.Contains(apart, os.Args[1]) && os.Getenv(ownEnv) == "" {
		command = again
	}
	if err := command(os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "probe:", err)
		os.Exit(1)
	}
}

// again runs the program with the same arguments in a mount namespace of its own. An
// asynchronous preemption would interrupt calls that the runtime does not know to be ones.
func again([]string) error {
	cmd := exec.Command(os.Args[0], os.Args[1:]...)
	cmd.Env = append(os.Environ(), ownEnv+"=1", "GODEBUG=asyncpreemptoff=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	return cmd.Run()
}

// allowed is the answer to a call that succeeded.
const allowed = "ok"

// answer is the name of an error.
func answer(err error) string {
	var errno unix.Errno
	switch {
	case err == nil:
		return allowed
	case errors.As(err, &errno) && unix.ErrnoName(errno) != "":
		return unix.ErrnoName(errno)
	}
	return err.Error()
}
