// Command probe runs in a container and measures what it is asked for (see package
// syscalls), until its input ends.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"

	"cloister/bench/syscalls"
)

func main() {
	runtime.LockOSThread()
	if err := serve(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "probe:", err)
		os.Exit(1)
	}
}

func serve(r io.Reader, w io.Writer) error {
	in, out := json.NewDecoder(r), json.NewEncoder(w)
	for {
		var q syscalls.Request
		switch err := in.Decode(&q); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		reply, err := measure(q.Case, q.Count)
		if err != nil {
			reply = &syscalls.Reply{Error: err.Error()}
		}
		if err := out.Encode(reply); err != nil {
			return err
		}
	}
}

// step is a part of a case.
type step func() error

// measure does the steps of a case, in turn, as often as it is asked to.
func measure(name string, count int) (*syscalls.Reply, error) {
	steps, ok := cases[name]
	if !ok {
		return nil, errors.New("unknown")
	}
	r := &syscalls.Reply{Parts: make([][]time.Duration, len(steps))}
	for n := range count {
		for i, do := range steps {
			begin := time.Now()
			if err := do(); err != nil {
				return nil, err
			}
			r.Parts[i] = append(r.Parts[i], time.Since(begin)/time.Duration(calls(name)))
			if n == 0 && i == 0 {
				r.Views = views()
			}
		}
	}
	return r, nil
}
