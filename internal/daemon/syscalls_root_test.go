//go:build root

package daemon

import (
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"cloister/internal/api"
)

func (h *host) listeners() int {
	h.t.Helper()
	s, err := h.client.Status()
	if err != nil {
		h.t.Fatal(err)
	}
	return s.Syscalls.Listeners
}

func TestSystemCallsAreAnswered(t *testing.T) {
	h := newHost(t)
	g, _ := h.run("web")
	for _, way := range []string{"at once", "stays connected", "in pieces"} {
		p := h.trapped(g.Key, way, nil)
		if p.memory() == 0 {
			t.Errorf("%s: %s", way, p.says)
		}
		if n := h.listeners(); n != 1 {
			t.Errorf("%s: %d listeners", way, n)
		}
		p.end()
		h.eventually("the listener ends with the process", func() bool { return h.listeners() == 0 })
	}
	if s, err := h.client.Status(); err != nil || s.Syscalls.Served != 3 || s.Syscalls.Refused != 0 {
		t.Errorf("served %+v, %v", s.Syscalls, err)
	}
}

// What is no listener of a container is refused: all its calls fail.
func TestListenersAreRefused(t *testing.T) {
	h := newHost(t)
	g, _ := h.run("web")
	for _, tt := range []struct{ way, key string }{
		{"at once", "7.99"},
		{"at once", ""},
		{"another file", g.Key},
		{"no file", g.Key},
		{"another name", g.Key},
		{"no JSON", g.Key},
		{"half", g.Key},
	} {
		p := h.trapped(tt.key, tt.way, nil)
		if !strings.Contains(p.says, syscall.ENOSYS.Error()) {
			t.Errorf("%s with key %q: got %s, want ENOSYS", tt.way, tt.key, p.says)
		}
		p.end()
	}
	if s, err := h.client.Status(); err != nil || s.Syscalls.Refused != 7 || s.Syscalls.Listeners != 0 {
		t.Errorf("got %+v, %v", s.Syscalls, err)
	}
}

// The socket's mode keeps others out. If somebody changes it, they are refused.
func TestOnlyRootBringsListeners(t *testing.T) {
	h := newHost(t)
	g, _ := h.run("web")
	path := api.ListenerPath(h.runDir)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	h.exe = h.everyonesClient()
	p := h.trapped(g.Key, "at once", &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: g.IDs.Start, Gid: g.IDs.Start}})
	if !strings.Contains(p.says, syscall.ENOSYS.Error()) {
		t.Errorf("a container's root: got %s, want ENOSYS", p.says)
	}
	p.end()
}

// Nobody waits for a runtime that connects and says nothing.
func TestSilentRuntimesHoldNobody(t *testing.T) {
	h := newHost(t)
	g, _ := h.run("web")
	for range maxArrivals - 1 {
		conn, err := net.Dial("unix", api.ListenerPath(h.runDir))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	begin := time.Now()
	p := h.trapped(g.Key, "at once", nil)
	if p.memory() == 0 || time.Since(begin) > arrivalLimit/2 {
		t.Errorf("%s after %v", p.says, time.Since(begin))
	}
	p.end()
	begin = time.Now()
	if err := h.stop(); err != nil || time.Since(begin) > arrivalLimit/2 {
		t.Errorf("the daemon ended after %v, %v", time.Since(begin), err)
	}
}

// A container of which nothing is known any more gets errors, and its mounts are left to
// the kernel.
func TestSystemCallsOfAReleasedContainer(t *testing.T) {
	h := newHost(t)
	d := h.open()
	c, init := h.outer(d.registry)
	p := h.trapped(c.key(), "at once", nil)
	if p.memory() == 0 {
		t.Error(p.says)
	}
	kill(init)
	h.eventually("the container is released", func() bool { _, err := d.registry.get(c.key()); return err != nil })
	if n := d.syscalls.listeners.Load(); n != 1 {
		t.Errorf("%d listeners while its process is there", n)
	}
	p.end()
	h.eventually("the listener ends with the process", func() bool { return d.syscalls.listeners.Load() == 0 })
}
