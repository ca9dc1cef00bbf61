//go:build root

package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"cloister/internal/api"
	"cloister/internal/mounter"
	"cloister/internal/sys"
	"cloister/runtimehook/idrange"
)

// TestMain lets the test program be a container's init, a client that is not root, or
// what attaches views again.
func TestMain(m *testing.M) {
	switch {
	case len(os.Args) == 2 && os.Args[1] == "init":
		_, _ = io.Copy(io.Discard, os.Stdin) // until the test ends, however it does
		os.Exit(0)
	case slices.Equal(os.Args[1:], []string{"hook", "reattach"}):
		if err := Reattach(os.Stdin); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	case slices.Equal(os.Args[1:], mounter.Args):
		if err := mounter.Main(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	case len(os.Args) == 5 && os.Args[1] == "trapped":
		if err := beTrapped(os.Args[2], os.Args[3], os.Args[4]); err != nil && !errors.Is(err, io.EOF) {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	case len(os.Args) == 4 && os.Args[1] == "get":
		status, body, err := get(os.Args[2], os.Args[3])
		fmt.Println(status, body, err)
		os.Exit(0)
	case len(os.Args) == 3 && os.Args[1] == "status":
		_, err := api.NewClient(os.Args[2]).Status()
		fmt.Println(err)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// host is a daemon of its own with its directories.
type host struct {
	t                          *testing.T
	client                     *api.Client
	runDir, stateDir, settings string
	metricsAddress             string
	exe                        string // of processes, if it is not this program's
	stop                       func() error
}

func newHost(t *testing.T) *host {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	h := &host{t: t, runDir: filepath.Join(dir, "run"), stateDir: filepath.Join(dir, "state"), settings: filepath.Join(dir, "settings.json")}
	// High ids, away from those of daemons and users of this machine.
	h.configure(`{"cloister": {"idRegion": {"start": 2000000000, "size": 65536000}}}`)
	h.start()
	return h
}

func (h *host) configure(text string) {
	h.t.Helper()
	if err := os.WriteFile(h.settings, []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

// start runs a daemon until stop or the end of the test.
func (h *host) start() {
	h.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- Run(ctx, h.config()) }()
	h.stop = sync.OnceValue(func() error { cancel(); return <-done })
	h.t.Cleanup(func() {
		if err := h.stop(); err != nil {
			h.t.Error(err)
		}
	})
	h.client = api.NewClient(h.runDir)
	h.eventually("the daemon answers", func() bool { _, err := h.client.Status(); return err == nil })
}

func (h *host) config() Config {
	return Config{
		RunDir: h.runDir, StateDir: h.stateDir, SettingsPath: h.settings, Version: "test",
		Log:      zerolog.New(zerolog.NewTestWriter(h.t)),
		Features: func() map[string]bool { return map[string]bool{} },

		MetricsAddress: h.metricsAddress,
	}
}

// eventually polls: the end of a process is noticed by another one.
func (h *host) eventually(what string, ok func() bool) {
	h.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(30 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			h.t.Fatalf("not within 30 s: %s", what)
		}
	}
}

// process starts this program as something that waits to be killed.
func (h *host) process(attr *syscall.SysProcAttr) *exec.Cmd {
	h.t.Helper()
	cmd := exec.Command("/proc/self/exe", "init")
	cmd.SysProcAttr = attr
	in, err := cmd.StdinPipe()
	if err != nil {
		h.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() {
		_ = in.Close()
		kill(cmd)
	})
	return cmd
}

func kill(cmd *exec.Cmd) {
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
}

// init starts what a runtime would: a process in namespaces of its own.
func (h *host) init(ids idrange.Range) *exec.Cmd {
	maps := []syscall.SysProcIDMap{{ContainerID: 0, HostID: int(ids.Start), Size: int(ids.Size)}}
	return h.process(&syscall.SysProcAttr{
		Cloneflags:  sys.NewUser | sys.NewPID | sys.NewNS | sys.NewNet | sys.NewIPC | sys.NewUTS,
		UidMappings: maps, GidMappings: maps,
	})
}

func (h *host) register(id string, creator int) *api.Grant {
	h.t.Helper()
	g, err := h.client.Register(&api.Registration{ID: id, Name: id, Engine: "test", Bundle: "/b/" + id, PID: creator})
	if err != nil {
		h.t.Fatal(err)
	}
	return g
}

// run brings a container to life and returns its grant and init.
func (h *host) run(id string) (*api.Grant, *exec.Cmd) {
	h.t.Helper()
	g := h.register(id, os.Getpid())
	p := h.init(g.IDs)
	v := h.begin(g.Key, id, p.Process.Pid)
	if err := h.client.Attached(g.Key, &api.Attached{Views: pathsOf(v)}); err != nil {
		h.t.Fatal(err)
	}
	return g, p
}

func (h *host) begin(key, id string, pid int) *api.Views {
	h.t.Helper()
	v, err := h.client.Start(&api.Start{ID: id, PID: pid, Bundle: "/b/" + id, Key: key})
	if err != nil {
		h.t.Fatal(err)
	}
	return v
}

// settled waits until no container and nothing of any is left.
func (h *host) settled() {
	h.t.Helper()
	h.eventually("no container is left", func() bool {
		s, err := h.client.Status()
		return err == nil && s.Containers == 0 && s.IDRegion.Used == 0
	})
	for _, dir := range []string{"containers", "views/exact", "views/pushed", "views/writable"} {
		dir = filepath.Join(h.runDir, dir)
		if names := h.list(dir); len(names) != 0 {
			h.t.Errorf("%s still holds %v", dir, names)
		}
	}
	if names := h.list(filepath.Join(h.stateDir, "containers")); !slices.Equal(names, []string{generationFile}) {
		h.t.Errorf("the state directory still holds %v", names)
	}
}

func (h *host) list(dir string) (names []string) {
	h.t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// pathsOf returns the paths of the views that a hook is to attach.
func pathsOf(v *api.Views) (paths []string) {
	for _, view := range v.Views {
		paths = append(paths, view.Path)
	}
	return paths
}
