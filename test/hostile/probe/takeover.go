package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	takeoverTarget  = "/tmp/takeover" // root's
	takeoverProgram = "/tmp/setuid"
	takeoverOwn     = "/tmp/takeover-own" // where that program mounts
	// takeoverSpread is by how much the rounds differ in when it is executed.
	takeoverSpread = 4 * time.Millisecond
)

// takeover has an ordinary user ask for a mount on root's directory, and a second thread
// execute a setuid program meanwhile, which gets the number of the thread that has asked.
// It prints how often there was a mount.
func takeover(args []string) error {
	flags := flag.NewFlagSet("takeover", flag.ContinueOnError)
	rounds := flags.Int("rounds", 200, "how often")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if err := makeSetuid(); err != nil {
		return err
	}
	if err := errors.Join(os.MkdirAll(takeoverTarget, 0o755), os.MkdirAll(takeoverOwn, 0o755)); err != nil {
		return err
	}
	got := struct{ Rounds, Mounted int }{}
	for ; got.Rounds < *rounds; got.Rounds++ {
		delay := time.Duration(got.Rounds) * takeoverSpread / time.Duration(*rounds)
		cmd := exec.Command("/proc/self/exe", "takeover-ask", strconv.Itoa(int(delay)))
		cmd.Env = append(os.Environ(), "GODEBUG=asyncpreemptoff=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1000, Gid: 1000}}
		cmd.Stderr = os.Stderr
		if err := cmd.Run(); err != nil {
			return err
		}
		for unix.Unmount(takeoverTarget, unix.MNT_DETACH) == nil {
			got.Mounted++
		}
	}
	return json.NewEncoder(os.Stdout).Encode(got)
}

// makeSetuid makes a copy of this program that runs as root.
func makeSetuid() error {
	from, err := os.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.OpenFile(takeoverProgram, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	if _, err := io.Copy(to, from); err != nil {
		return err
	}
	if err := to.Close(); err != nil {
		return err
	}
	return os.Chmod(takeoverProgram, 0o755|os.ModeSetuid)
}

// takeoverAsk is the user's program. Its first thread, whose number the other gets, asks.
func takeoverAsk(args []string) error {
	delay, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	failed := make(chan error, 1)
	go func() {
		wait := unix.NsecToTimespec(int64(delay))
		_ = unix.Nanosleep(&wait, nil) // any time is a good one
		failed <- syscall.Exec(takeoverProgram, []string{"probe", "takeover-end"}, os.Environ())
	}()
	for {
		select {
		case err := <-failed:
			return err
		default:
		}
		if err := native.mount("proc", takeoverTarget, "proc", 0, ""); answer(err) != "EPERM" {
			return fmt.Errorf("a user's mount: %s", answer(err))
		}
	}
}

// takeoverEnd is the setuid program. It may mount, and lives until it has: calls of a thread
// are served one after another, and the last one of its number was the user's.
func takeoverEnd([]string) error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("user %d", os.Geteuid())
	}
	if err := native.mount("proc", takeoverOwn, "proc", 0, ""); err != nil {
		return fmt.Errorf("root's mount: %w", err)
	}
	return unix.Unmount(takeoverOwn, unix.MNT_DETACH)
}
