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
	key, init, second := h.shared(r)
	c, err := r.get(key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.nest(key, api.Nested{Cgroups: c.Cgroups, PID: second.Process.Pid}); err != nil {
		t.Error(err)
	}
	_, err = r.nest(key, api.Nested{Cgroups: c.Cgroups, PID: os.Getpid()})
	if !errors.Is(err, errBadRequest) {
		t.Errorf("a process of the host's: got %v, want %v", err, errBadRequest)
	}
	kill(init)
	kill(second)
	h.eventually("the container is gone", func() bool { _, err := r.get(key); return err != nil })
}

// A daemon that is killed has saved the counters not long before.
func TestCountersAreSavedWhileTheDaemonRuns(t *testing.T) {
	h := newHost(t)
	r := h.open().registry
	key, init, second := h.shared(r)
	saved := func() *record {
		t.Helper()
		records, _, err := r.store.load()
		if err != nil || len(records) != 1 {
			t.Fatalf("%d records, %v", len(records), err)
		}
		return records[0]
	}
	if s := saved().State; s != nil {
		t.Fatalf("counters are there already: %+v", s)
	}
	r.saver.save(r, r.all())
	s := saved().State
	if s == nil || s.CPU.At == 0 {
		t.Fatalf("counters are not saved: %+v", s)
	}
	c, err := r.get(key)
	if err != nil {
		t.Fatal(err)
	}
	if now := r.views.state(c.Slot); now.CPU.At < s.CPU.At {
		t.Errorf("saved are counters of %v, it is %v", s.CPU.At, now.CPU.At)
	}
	kill(init)
	kill(second)
	h.eventually("the container is gone", func() bool { _, err := r.get(key); return err != nil })
	r.saver.save(r, r.all()) // a container that has ended leaves no record
	if records, _, err := r.store.load(); err != nil || len(records) != 0 {
		t.Errorf("%d records, %v", len(records), err)
	}
}

// They are saved when the CPU limits change, as those of then are lost otherwise.
func TestCountersAreSavedWhenLimitsChange(t *testing.T) {
	h := newHost(t)
	r := h.open().registry
	key, init, second := h.shared(r)
	c, err := r.get(key)
	if err != nil {
		t.Fatal(err)
	}
	limit := 0
	for _, dir := range r.views.layout.Dirs(c.Cgroups) {
		for file, quota := range map[string]string{"cpu.max": "50000 100000", "cpu.cfs_quota_us": "50000"} {
			if os.WriteFile(filepath.Join(dir, file), []byte(quota), 0) == nil {
				limit++
			}
		}
	}
	if limit == 0 {
		t.Skip("needs the cpu controller")
	}
	view, err := r.views.container(c.Slot)
	if err != nil {
		t.Fatal(err)
	}
	h.eventually("the counters are saved", func() bool {
		if _, err := view.Sysinfo(); err != nil { // which takes a sample
			t.Fatal(err)
		}
		records, _, err := r.store.load()
		return err == nil && len(records) == 1 && records[0].State != nil && records[0].State.CPU.Limits.Bandwidth.Quota == 50000
	})
	kill(init)
	kill(second)
	h.eventually("the container is gone", func() bool { _, err := r.get(key); return err != nil })
}
