//go:build root

package daemon

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"cloister/internal/api"
	"cloister/internal/sys"
)

// innerContainer starts a process in a pid namespace of its own, with a child in one
// below that, both in a cgroup below the one that h.cgroup has made for outer.
func (h *host) innerContainer(r *registry, outer *exec.Cmd) (first *exec.Cmd, deeper int) {
	h.t.Helper()
	first = exec.Command("unshare", "-p", "-f", "--kill-child", "cat")
	first.SysProcAttr = &syscall.SysProcAttr{Cloneflags: sys.NewPID}
	if _, err := first.StdinPipe(); err != nil {
		h.t.Fatal(err)
	}
	if err := first.Start(); err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { kill(first) })
	children := fmt.Sprintf("/proc/%d/task/%[1]d/children", first.Process.Pid)
	h.eventually("it has a child", func() bool {
		text, err := os.ReadFile(children)
		if err != nil {
			h.t.Fatal(err)
		}
		deeper, err = strconv.Atoi(strings.TrimSpace(string(text)))
		return err == nil
	})
	layout := r.views.layout
	for _, dir := range layout.Dirs(layout.At(fmt.Sprintf("/cloister-test-%d/inner", outer.Process.Pid))) {
		if err := os.Mkdir(dir, 0o755); err != nil {
			h.t.Fatal(err)
		}
		h.t.Cleanup(func() {
			kill(first)
			h.eventually("the inner cgroup is empty", func() bool { return ignoreMissing(os.Remove(dir)) == nil })
		})
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} { // empty in a new cgroup of v1
			value, err := os.ReadFile(filepath.Join(filepath.Dir(dir), file))
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, file), value, 0)
			}
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				h.t.Fatal(err)
			}
		}
		for _, pid := range []int{first.Process.Pid, deeper} {
			if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0); err != nil {
				h.t.Fatal(err)
			}
		}
	}
	return first, deeper
}

// outer brings a container to life in a cgroup of its own.
func (h *host) outer(r *registry) (c *container, init *exec.Cmd) {
	h.t.Helper()
	g, err := r.register(api.Registration{ID: "outer", Bundle: "/b/outer", PID: os.Getpid()})
	if err != nil {
		h.t.Fatal(err)
	}
	init = h.init(g.IDs)
	h.cgroup(r, init)
	v, err := r.start(api.Start{ID: "outer", Bundle: "/b/outer", Key: g.Key, PID: init.Process.Pid})
	if err == nil {
		err = r.attached(g.Key, api.Attached{Views: pathsOf(v)})
	}
	if err == nil {
		c, err = r.get(g.Key)
	}
	if err != nil {
		h.t.Fatal(err)
	}
	return c, init
}

func TestInnerContainerBeyondTheMost(t *testing.T) {
	h := newHost(t)
	r := h.open().registry
	c, init := h.outer(r)
	first, _ := h.innerContainer(r, init)
	for range maxNested {
		if _, err := r.nest(c.key(), api.Nested{Cgroups: c.Cgroups, PID: init.Process.Pid}); err != nil {
			t.Fatal(err)
		}
	}
	if slot, _, err := r.viewsFor(c.key(), first.Process.Pid); err != nil || slot != c.Slot {
		t.Errorf("got slot %v, %v, want the container's, %v", slot, err, c.Slot)
	}
}

func TestInnerContainerHasViewsOfItsOwn(t *testing.T) {
	h := newHost(t)
	r := h.open().registry
	c, init := h.outer(r)
	first, deeper := h.innerContainer(r, init)
	is := func(what string, tid int, own bool) {
		t.Helper()
		slot, err := r.pidSpaces.slotOf(c.key(), tid)
		if err != nil || (slot == c.Slot) != own {
			t.Errorf("%s: slot %v, %v, that of the container is %v", what, slot, err, c.Slot)
		}
	}
	is("inner container before it has mounted a proc", first.Process.Pid, true)
	inner, views, err := r.viewsFor(c.key(), first.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	if inner == c.Slot || len(views) == 0 || strings.HasPrefix(views[0].Source, r.views.path(c.Slot)+"/") {
		t.Errorf("views of slot %v: %v", inner, views)
	}
	if again, _, err := r.viewsFor(c.key(), first.Process.Pid); err != nil || again != inner {
		t.Errorf("once more: slot %v, %v", again, err)
	}
	if n := nestedOf(c); n != 1 {
		t.Errorf("%d nested views", n)
	}
	is("inner container", first.Process.Pid, false)
	is("process in a pid namespace below it", deeper, false)
	is("the container's init", init.Process.Pid, true)

	if slot, _, err := r.viewsFor(c.key(), init.Process.Pid); err != nil || slot != c.Slot {
		t.Errorf("a proc of the container's own namespace: slot %v, %v", slot, err)
	}
	if _, err := r.Sysinfo(c.key(), first.Process.Pid); err != nil {
		t.Error(err)
	}

	ns, err := pidNamespaceOf(first.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	kill(first)
	h.eventually("its views are taken back", func() bool {
		return nestedOf(c) == 0 && r.views.view(inner) == nil
	})
	if _, known := r.pidSpaces.exact(c.key(), ns); known {
		t.Error("its pid namespace has views")
	}
}

// A process in a pid namespace of its own that is not in a cgroup of its own sees what the
// container does.
func TestUnsharedProcessHasTheContainersViews(t *testing.T) {
	h := newHost(t)
	r := h.open().registry
	c, init := h.outer(r)
	p := h.process(&syscall.SysProcAttr{Cloneflags: sys.NewPID})
	for _, dir := range r.views.layout.Dirs(c.Cgroups) {
		if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(p.Process.Pid)), 0); err != nil {
			t.Fatal(err)
		}
	}
	defer kill(init)
	defer kill(p)
	if slot, _, err := r.viewsFor(c.key(), p.Process.Pid); err != nil || slot != c.Slot {
		t.Errorf("slot %v, %v, want the container's %v", slot, err, c.Slot)
	}
}

func TestInnerContainerIsKnownAfterARestart(t *testing.T) {
	h := newHost(t)
	d, end := h.openUntil()
	c, init := h.outer(d.registry)
	first, _ := h.innerContainer(d.registry, init)
	inner, _, err := d.registry.viewsFor(c.key(), first.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	end()
	r := h.open().registry
	slot, err := r.pidSpaces.slotOf(c.key(), first.Process.Pid)
	if err != nil || slot != inner {
		t.Errorf("slot %v, %v, was %v", slot, err, inner)
	}
	kill(first)
	h.eventually("its views are taken back", func() bool { return r.views.view(inner) == nil })
}

// TestInitOfNamespace takes both ways to the same process.
func TestInitOfNamespace(t *testing.T) {
	h := newHost(t)
	p := h.process(&syscall.SysProcAttr{Cloneflags: sys.NewPID})
	ns, err := sys.OpenPIDNamespace(p.Process.Pid, "pid")
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	if pid, err := ns.Init(); err == nil && pid != p.Process.Pid {
		t.Errorf("the kernel says %d, want %d", pid, p.Process.Pid)
	} else if err != nil && !errors.Is(err, syscall.ENOTTY) {
		t.Error(err)
	}
	if pid, err := initAmongAncestors(ns, p.Process.Pid); err != nil || pid != p.Process.Pid {
		t.Errorf("found %d, %v, want %d", pid, err, p.Process.Pid)
	}
	if pid, err := initAmongAncestors(ns, os.Getpid()); err == nil {
		t.Errorf("found %d for a process that is not in it", pid)
	}
}

func nestedOf(c *container) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.Nested)
}
