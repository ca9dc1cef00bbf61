package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// rowLimit is for a row that hangs.
const rowLimit = 20 * time.Second

// rows reads rows, a line each: a name, a tab, and steps with "; " between them. It runs
// each in a process of its own, and prints the name, a tab, and the answers in the same way.
func rows([]string) error {
	initial, err := overmounts()
	if err != nil {
		return err
	}
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		name, steps, ok := strings.Cut(in.Text(), "\t")
		if !ok {
			return fmt.Errorf("row %q has no steps", in.Text())
		}
		fmt.Printf("%s\t%s\n", name, runRow(steps, initial))
	}
	return in.Err()
}

// overmountsEnv tells a row what is mounted on /proc and /sys to begin with.
const overmountsEnv = "PROBE_OVERMOUNTS"

func runRow(steps, initial string) string {
	ctx, cancel := context.WithTimeout(context.Background(), rowLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "row", steps)
	// What interrupts a call is a test of its own: see load.
	cmd.Env = append(os.Environ(), overmountsEnv+"="+initial, "GODEBUG=asyncpreemptoff=1")
	cmd.SysProcAttr = namespaces(steps)
	cmd.WaitDelay = time.Second
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	switch {
	case ctx.Err() != nil:
		return "TIMEOUT"
	case errors.As(err, new(syscall.Errno)):
		return answer(err) // the namespaces were refused
	case err != nil:
		return fmt.Sprintf("%v %q", err, stderr.String())
	}
	return strings.TrimSpace(string(out))
}

// row runs the steps of one, all of them whatever the answers are.
func row(args []string) error {
	w := &walker{}
	var answers []string
	for step := range strings.SplitSeq(args[0], "; ") {
		words := strings.Fields(step)
		do, ok := steps[words[0]]
		if !ok {
			return fmt.Errorf("no step %q", words[0])
		}
		text, err := do(w, words[1:])
		if err != nil {
			text = answer(err)
		}
		if text != "" {
			answers = append(answers, text)
		}
	}
	fmt.Println(strings.Join(answers, "; "))
	return w.leave()
}

// walker is who takes steps.
type walker struct {
	api  string   // how it mounts: one of mountAPIs
	back *os.File // the root before it entered another one
	root string   // that other one, seen from there
}

// silent makes a step that has an answer only if it fails.
func silent(do func(w *walker, a []string) error) func(*walker, []string) (string, error) {
	return func(w *walker, a []string) (string, error) { return "", do(w, a) }
}

// plain makes one that is answered with success or an errno.
func plain(do func(w *walker, a []string) error) func(*walker, []string) (string, error) {
	return func(w *walker, a []string) (string, error) { return allowed, do(w, a) }
}
