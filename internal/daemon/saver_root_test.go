//go:build root

package daemon

import (
	"os"
	"path/filepath"
	"testing"
)

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
	c, init, second := h.sharedContainer(r)
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
	h.eventually("the container is gone", func() bool { _, err := r.get(c.key()); return err != nil })
}
