package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cloister/internal/api"
	"cloister/internal/sys"
	"cloister/runtimehook/lowlevel"
)

// runTimeout bounds each call of a runtime.
const runTimeout = 10 * time.Second

// runtimes knows what the low-level runtimes of this host can do.
type runtimes struct {
	timeNamespaces bool // the kernel has them
	waitKillable   bool // the kernel can let only fatal signals interrupt a trapped call

	mu    sync.Mutex
	known map[string]probed // by path, guarded by mu
}

// probed is an answer and the state of the file that gave it.
type probed struct {
	modified time.Time
	size     int64
	runtime  api.Runtime
}

func newRuntimes() *runtimes {
	_, err := os.Stat("/proc/self/ns/time")
	return &runtimes{timeNamespaces: err == nil, waitKillable: sys.HasWaitKillable(), known: map[string]probed{}}
}

// probe asks a runtime for its version and features, once for each state of its
// file.
func (r *runtimes) probe(path string) (api.Runtime, error) {
	if path == "" {
		return api.Runtime{}, nil // somebody else will start it
	}
	info, err := os.Stat(path)
	if err != nil {
		return api.Runtime{}, fmt.Errorf("low-level runtime: %w", err)
	}
	r.mu.Lock()
	p, ok := r.known[path]
	r.mu.Unlock()
	if ok && p.modified.Equal(info.ModTime()) && p.size == info.Size() {
		return p.runtime, nil
	}
	rt, err := r.ask(path)
	if err != nil {
		return api.Runtime{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.known[path] = probed{info.ModTime(), info.Size(), rt}
	return rt, nil
}

func (r *runtimes) ask(path string) (api.Runtime, error) {
	out, err := run(path, "--version")
	if err != nil {
		return api.Runtime{}, fmt.Errorf("low-level runtime: %s --version: %w", path, err)
	}
	version, _, _ := strings.Cut(string(out), "\n")
	rt := api.Runtime{Path: path, Version: strings.TrimSpace(version)}
	// runc has `features` from 1.1 on, crun from 1.9 on. Without it a runtime may
	// know time namespaces as well, but there is no way to tell but to fail.
	if out, err := run(path, "features"); err == nil {
		f := parseFeatures(out)
		rt.TimeNamespace = r.timeNamespaces && slices.Contains(f.Namespaces, "time")
		rt.WaitKillable = r.waitKillable && f.knowsFlag(specs.LinuxSeccompFlagWaitKillableRecv)
	}
	return rt, nil
}

// parseFeatures returns what a runtime says that it can do; of what can't be read, nothing.
func parseFeatures(text []byte) runtimeFeatures {
	var f struct {
		Linux runtimeFeatures `json:"linux"`
	}
	if json.Unmarshal(text, &f) != nil {
		return runtimeFeatures{}
	}
	return f.Linux
}

// runtimeFeatures is the section linux of a runtime's features.
type runtimeFeatures struct {
	Namespaces []string `json:"namespaces"`
	Seccomp    struct {
		KnownFlags     []string `json:"knownFlags"`
		SupportedFlags []string `json:"supportedFlags"` // those that the kernel and libseccomp have, too
	} `json:"seccomp"`
}

// knowsFlag reports whether a profile may have a flag. Runtimes that don't say so fail on
// any, or on those that they don't know.
func (f *runtimeFeatures) knowsFlag(flag specs.LinuxSeccompFlag) bool {
	known := f.Seccomp.SupportedFlags
	if known == nil {
		known = f.Seccomp.KnownFlags
	}
	return slices.Contains(known, string(flag))
}

func run(path string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), runTimeout)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if text := strings.TrimSpace(stderr.String()); text != "" {
			err = errors.Join(err, errors.New(text))
		}
		return nil, err
	}
	return stdout.Bytes(), nil
}

// deleteFromRuntime removes what a runtime that was killed has left of a container
// of `cloister run`: its state and its cgroups. Those of engines are the engines'
// to remove. It does not wait for the runtime, which may have hooks to run.
// Preconditions: c.mu is held.
func (r *registry) deleteFromRuntime(c *container) {
	if c.Runtime == "" {
		return
	}
	// The one that made the container deletes it as well, if it still can. That
	// takes until its end: a process that was killed looks as if it ran until its
	// parent has asked for its status.
	creator, err := c.Creator.open()
	if err == nil {
		err = r.exits.Watch(creator, func() { go r.deleteLeft(c) })
	}
	if err != nil {
		go r.deleteLeft(c)
	}
}

// deleteLeft deletes a container that its runtime still has in its books.
func (r *registry) deleteLeft(c *container) {
	r.mu.Lock()
	now := r.byRuntimeID(c.RuntimeRoot, c.ID)
	r.mu.Unlock()
	if now != nil && now != c || !lowlevel.Knows(c.Runtime, c.RuntimeRoot, c.ID) {
		return
	}
	args := []string{"delete", "--force", c.ID}
	if c.RuntimeRoot != "" {
		args = append([]string{"--root", c.RuntimeRoot}, args...)
	}
	if _, err := run(c.Runtime, args...); err != nil {
		r.log.Warn().Str("cid", c.ID).Err(err).Msg("the runtime failed to delete the container")
	}
}
