// Command run measures system calls and programs in containers (see package syscalls):
// the same bundles with plain runc, in a user namespace, and with cloister, which has a
// daemon of its own. It needs root and removes what it has made.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"cloister/bench/stand"
	"cloister/bench/syscalls"
)

func init() {
	// The first thread's mount namespace is what the children get.
	runtime.LockOSThread()
}

// options are the flags.
type options struct {
	program, probe, engine, profile, goroot string
	rounds                                  int
	json                                    bool
}

func main() {
	var o options
	flag.StringVar(&o.program, "cloister", "bin/cloister", "the program to measure")
	flag.StringVar(&o.probe, "probe", "bin/bench-syscalls-probe", "the program that measures in the containers")
	flag.StringVar(&o.engine, "runtime", "runc", "low-level runtime")
	flag.StringVar(&o.profile, "profile", "runtimehook/testdata/docker.json", "config whose seccomp profile containers without CAP_SYS_ADMIN have")
	flag.StringVar(&o.goroot, "goroot", "/usr/local/go", "Go's toolchain, to compile with")
	flag.IntVar(&o.rounds, "rounds", 20, "how often each case is measured")
	flag.BoolVar(&o.json, "json", false, "print JSON")
	flag.Parse()
	if err := run(&o); err != nil {
		fmt.Fprintln(os.Stderr, "bench/syscalls:", err)
		os.Exit(1)
	}
}

func run(o *options) (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	s, err := stand.New(o.program, o.engine)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := writeSettings(s, o.goroot); err != nil {
		return err
	}
	if err := s.Daemon(ctx, "--log-level", "error"); err != nil {
		return err
	}
	b := &bench{options: o, stand: s}
	defer func() { err = errors.Join(err, b.close()) }()
	if err := b.start(); err != nil {
		return err
	}
	r, err := b.measure(ctx)
	if err != nil {
		return err
	}
	if !o.json {
		return r.Print(os.Stdout)
	}
	out := json.NewEncoder(os.Stdout)
	out.SetIndent("", "  ")
	return out.Encode(r)
}

// writeSettings turns on what is measured, and lets the containers have the host's
// programs and the toolchain.
func writeSettings(s *stand.Stand, goroot string) error {
	text, err := json.Marshal(map[string]any{
		"configurationFileVersion": 2,
		"cloister": map[string]any{
			"allowedHostPaths": []string{"/usr", goroot},
			"syscalls":         map[string]bool{"cpuAffinity": true},
		},
	})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(s.Dir, "settings.json"), text, 0o600)
}

// measure has the containers take turns. The first round is not counted.
func (b *bench) measure(ctx context.Context) (*syscalls.Result, error) {
	r, err := b.describe()
	if err != nil {
		return nil, err
	}
	all := make([]syscalls.Rounds, len(syscalls.Cases))
	for round := range b.rounds + 1 {
		for i := range syscalls.Cases {
			if ctx.Err() != nil {
				return nil, errors.New("interrupted")
			}
			plain, ours, err := b.round(&syscalls.Cases[i])
			if err != nil {
				return nil, err
			}
			if round > 0 {
				all[i].Add(plain, ours)
			}
		}
	}
	for i := range syscalls.Cases {
		r.Parts = append(r.Parts, all[i].Sum(&syscalls.Cases[i])...)
	}
	return r, nil
}

// round measures a case in both containers.
func (b *bench) round(c *syscalls.Case) (plain, ours *syscalls.Reply, err error) {
	if plain, err = b.plain[c.Admin].Round(c); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", b.engine, err)
	}
	if ours, err = b.ours[c.Admin].Round(c); err != nil {
		return nil, nil, fmt.Errorf("cloister: %w", err)
	}
	return plain, ours, nil
}

// describe begins a result with what is measured.
func (b *bench) describe() (*syscalls.Result, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return nil, err
	}
	return &syscalls.Result{
		Date: time.Now().UTC().Truncate(time.Second), Kernel: unix.ByteSliceToString(u.Release[:]),
		CPUs: runtime.NumCPU(), Runtime: b.engine, Rounds: b.rounds,
	}, nil
}
