//go:build root

package daemon

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"cloister/cgroupview"
	"cloister/internal/api"
)

func TestNestedViews(t *testing.T) {
	h := newHost(t)
	g, init := h.run("web")
	d, err := h.client.Container("web")
	if err != nil {
		t.Fatal(err)
	}
	own := api.Nested{Cgroups: d.Cgroups, PID: d.PID}

	v, err := h.client.Nest(g.Key, &own)
	if err != nil {
		t.Fatal(err)
	}
	file := ""
	for _, view := range v.Views {
		if view.Path == "proc/meminfo" {
			file = view.Source
		}
	}
	if strings.HasPrefix(file, d.ViewsPath) {
		t.Errorf("%s is the container's own", file)
	}
	if text, err := exec.Command("cat", file).CombinedOutput(); err != nil || !strings.HasPrefix(string(text), "MemTotal:") {
		t.Errorf("%s: %s, %v", file, text, err)
	}
	if err := h.client.Unnest(g.Key, v.Key); err != nil {
		t.Error(err)
	}
	if text, err := exec.Command("cat", file).CombinedOutput(); err == nil {
		t.Errorf("after unnest: %s", text)
	}
	if err := h.client.Unnest(g.Key, v.Key); err != nil {
		t.Errorf("once more: %v", err)
	}
	if err := h.client.Unnest(g.Key, g.Key); err != nil {
		t.Errorf("the container's own views: %v", err)
	}
	if _, err := exec.Command("cat", filepath.Join(d.ViewsPath, "proc/meminfo")).Output(); err != nil {
		t.Errorf("the container has lost its own: %v", err)
	}

	outside := cgroupview.Paths{Unified: own.Cgroups.Unified + "/../outside", V1: map[string]string{}}
	for controller, path := range own.Cgroups.V1 {
		outside.V1[controller] = path + "/../outside"
	}
	waiting := h.register("waiting", init.Process.Pid)
	for name, tt := range map[string]struct {
		key  string
		n    api.Nested
		want string
	}{
		"no container":          {"9.9", own, "no such container"},
		"not running yet":       {waiting.Key, own, "is creating"},
		"no process":            {g.Key, api.Nested{Cgroups: own.Cgroups}, "need a process"},
		"a process that is not": {g.Key, api.Nested{Cgroups: own.Cgroups, PID: 1 << 30}, "cgroup of process"},
		"outside":               {g.Key, api.Nested{Cgroups: outside, PID: d.PID}, "not below"},
		"nowhere":               {g.Key, api.Nested{PID: d.PID}, "not below"},
	} {
		if _, err := h.client.Nest(tt.key, &tt.n); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", name, err, tt.want)
		}
	}
	for i := range maxNested + 1 {
		_, err := h.client.Nest(g.Key, &own)
		if full := i == maxNested; full != (err != nil) {
			t.Fatalf("nested views %d: %v", i, err)
		}
	}
	kill(init)
	h.settled()
}

func TestNestedViewsOfAnothersProcess(t *testing.T) {
	h := newHost(t)
	r := h.open().registry
	c, init, second := h.sharedContainer(r)
	if _, err := r.nest(c.key(), api.Nested{Cgroups: c.Cgroups, PID: second.Process.Pid}); err != nil {
		t.Error(err)
	}
	_, err := r.nest(c.key(), api.Nested{Cgroups: c.Cgroups, PID: os.Getpid()})
	if !errors.Is(err, errBadRequest) {
		t.Errorf("a process of the host's: got %v, want %v", err, errBadRequest)
	}
	kill(init)
	kill(second)
	h.eventually("the container is gone", func() bool { _, err := r.get(c.key()); return err != nil })
}

// sharedContainer is shared with the container itself.
func (h *host) sharedContainer(r *registry) (c *container, init, second *exec.Cmd) {
	h.t.Helper()
	key, init, second := h.shared(r)
	c, err := r.get(key)
	if err != nil {
		h.t.Fatal(err)
	}
	return c, init, second
}
