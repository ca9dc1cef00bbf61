// Command run measures reading (see package read) and removes what it has made: it starts
// a daemon of its own, a container and Debian's lxcfs, all in a mount namespace of their
// own, has `cloister bench read` read them, and keeps the figures. It needs root.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"cloister/bench/read"
	"cloister/bench/stand"
)

func init() {
	// The first thread's mount namespace is what the children get.
	runtime.LockOSThread()
}

func main() {
	program := flag.String("cloister", "bin/cloister", "the program to measure")
	engine := flag.String("runtime", "runc", "low-level runtime")
	duration := flag.Duration("duration", 130*time.Second, "how long to measure")
	quick := flag.Bool("quick", false, "measure for 15 s, and write no files")
	out := flag.String("out", "docs/bench", "directory for read.json")
	flag.Parse()
	if *quick {
		*duration, *out = 15*time.Second, ""
	}
	if err := run(*program, *engine, *duration, *out); err != nil {
		fmt.Fprintln(os.Stderr, "bench/run:", err)
		os.Exit(1)
	}
}

func run(program, engine string, duration time.Duration, out string) (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := install(ctx, map[string]string{"lxcfs": "lxcfs", engine: engine}); err != nil {
		return err
	}
	s, err := stand.New(program, engine)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := s.Daemon(ctx); err != nil {
		return err
	}
	lxcfs := filepath.Join(s.Dir, "lxcfs")
	if err := startLXCFS(ctx, s, lxcfs); err != nil {
		return err
	}
	// The readers will be in the container's cgroup, and less CPU would stop them.
	name := fmt.Sprintf("bench-%d", os.Getpid())
	d, err := s.Container(ctx, name, "-m", "1g", "--cpus", strconv.Itoa(runtime.NumCPU()))
	if err != nil {
		return err
	}
	if err := countDisks(ctx, d.Cgroups, program); err != nil {
		return err
	}
	return measure(ctx, s, out, "bench", "read", name, "--lxcfs", lxcfs, "--duration", duration.String())
}

// measure prints the table or, if there is a directory to write to, keeps the figures
// there and prints them from there.
func measure(ctx context.Context, s *stand.Stand, out string, args ...string) error {
	if out == "" {
		return s.Command(ctx, os.Stdout, args...).Run()
	}
	var text bytes.Buffer
	if err := s.Command(ctx, &text, append(args, "--json")...).Run(); err != nil {
		return err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(out, "read.json"), text.Bytes(), 0o644); err != nil {
		return err
	}
	r := &read.Result{}
	if err := json.Unmarshal(text.Bytes(), r); err != nil {
		return err
	}
	return r.Print(os.Stdout)
}
