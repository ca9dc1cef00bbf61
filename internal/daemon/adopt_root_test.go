//go:build root

package daemon

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"cloister/internal/api"
	"cloister/internal/settings"
	"cloister/internal/sys"
)

// open makes a daemon that nobody can ask: the test itself calls what it does.
func (h *host) open() *Daemon {
	h.t.Helper()
	if err := h.stop(); err != nil {
		h.t.Fatal(err)
	}
	cfg := h.config()
	d := &Daemon{Config: cfg, log: cfg.Log}
	var err error
	if d.settings, err = settings.Load(cfg.SettingsPath); err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() {
		if err := d.close(); err != nil {
			h.t.Error(err)
		}
	})
	if err := d.open(); err != nil {
		h.t.Fatal(err)
	}
	return d
}

func TestStartOnceMoreAfterAFailure(t *testing.T) {
	h := newHost(t)
	r := h.open().registry
	g, err := r.register(api.Registration{ID: "web", Bundle: "/b/web", PID: os.Getpid()})
	if err != nil {
		t.Fatal(err)
	}
	init := h.init(g.IDs)
	start := api.Start{ID: "web", Bundle: "/b/web", Key: g.Key, PID: init.Process.Pid}

	works := r.exits
	if r.exits, err = sys.NewExitWatcher(); err != nil {
		t.Fatal(err)
	}
	if err := r.exits.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.start(start); !errors.Is(err, unix.EBADF) {
		t.Fatalf("got %v, want that nothing can be watched", err)
	}
	if n := len(r.views.slots); n != 0 {
		t.Errorf("views of %d containers, want none", n)
	}
	r.exits = works
	if _, err := r.start(start); err != nil {
		t.Errorf("once more: %v", err)
	}
}

func TestLackOfDescriptorsIsNotTheEndOfAProcess(t *testing.T) {
	h := &host{t: t}
	cmd := h.process(&syscall.SysProcAttr{})
	p, err := identify(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	if err := unix.Prlimit(0, unix.RLIMIT_NOFILE, &unix.Rlimit{Max: before.Max}, nil); err != nil {
		t.Fatal(err)
	}
	_, opened := p.open()
	running := p.running()
	if err := unix.Prlimit(0, unix.RLIMIT_NOFILE, &before, nil); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(opened, unix.EMFILE) || errors.Is(opened, errEnded) {
		t.Errorf("open: got %v, want EMFILE", opened)
	}
	if !running {
		t.Error("a process that lives is taken for one that has ended")
	}
	kill(cmd)
	if fd, err := p.open(); !errors.Is(err, errEnded) {
		_ = fd.Close()
		t.Errorf("open: got %v, want that it has ended", err)
	}
	if p.running() {
		t.Error("a process that has ended is running")
	}
}

// shared brings a container to life that is in another's pid namespace, with a
// process beside its init.
func (h *host) shared(r *registry) (key string, init, second *exec.Cmd) {
	h.t.Helper()
	g, err := r.register(api.Registration{ID: "shared", Bundle: "/b/shared", PID: os.Getpid()})
	if err != nil {
		h.t.Fatal(err)
	}
	maps := []syscall.SysProcIDMap{{HostID: int(g.IDs.Start), Size: int(g.IDs.Size)}}
	init = h.process(&syscall.SysProcAttr{Cloneflags: sys.NewUser | sys.NewNS, UidMappings: maps, GidMappings: maps})
	second = h.process(&syscall.SysProcAttr{})
	h.cgroup(r, init, second)
	v, err := r.start(api.Start{ID: "shared", Bundle: "/b/shared", Key: g.Key, PID: init.Process.Pid})
	if err == nil {
		err = r.attached(g.Key, api.Attached{Files: v.Files})
	}
	if err != nil {
		h.t.Fatal(err)
	}
	return g.Key, init, second
}

// cgroup moves processes into a cgroup of their own, until they end.
func (h *host) cgroup(r *registry, members ...*exec.Cmd) {
	h.t.Helper()
	layout := r.views.layout
	dirs := layout.Dirs(layout.At(fmt.Sprintf("/cloister-test-%d", members[0].Process.Pid)))
	h.t.Cleanup(func() {
		for _, cmd := range members {
			kill(cmd)
		}
		for _, dir := range dirs {
			h.eventually("the cgroup is empty", func() bool { return ignoreMissing(os.Remove(dir)) == nil })
		}
	})
	for _, dir := range dirs {
		if err := os.Mkdir(dir, 0o755); err != nil {
			h.t.Fatal(err)
		}
		// Empty in a new cgroup of v1, which takes no process then.
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
			value, err := os.ReadFile(filepath.Join(filepath.Dir(dir), file))
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, file), value, 0)
			}
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				h.t.Fatal(err)
			}
		}
		for _, cmd := range members {
			if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(cmd.Process.Pid)), 0); err != nil {
				h.t.Fatal(err)
			}
		}
	}
}

func TestPoststopBeforeTheLastProcessEnded(t *testing.T) {
	h := newHost(t)
	r := h.open().registry
	key, init, second := h.shared(r)
	kill(init)
	if err := r.end(key); err != nil {
		t.Fatal(err)
	}
	if _, err := r.get(key); err != nil {
		t.Errorf("a container that has a process: %v", err)
	}
	kill(second)
	h.eventually("it is released", func() bool { _, err := r.get(key); return err != nil })
}
