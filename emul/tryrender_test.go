package emul

import (
	"testing"

	"cloister/cgroupview"
	"cloister/cgroupview/cgrouptest"
)

// TryRender gives what Render does, or nothing.
func TestTryRender(t *testing.T) {
	inModes(t, func(t *testing.T, r *rig) {
		all := readAll(t, r.c)
		for path, want := range all {
			id, member, _ := lookUp(path)
			f := &files[id]
			got, ok := r.c.TryRender([]byte("before "), id, member)
			if inline := f.group == nil && !f.nodes; ok != inline {
				t.Errorf("%s: ok %v, want %v", path, ok, inline)
			}
			if !ok {
				want = ""
			}
			if string(got) != "before "+want {
				t.Errorf("%s: %q, want %q", path, got, want)
			}
		}
	})
}

func TestTryRenderDeclines(t *testing.T) {
	const meminfo, cpuinfo, size = "proc/meminfo", "proc/cpuinfo", cpuDir + "/cpu1/cache/index2/size"
	for _, tt := range []struct {
		name, path string
		prepare    func(r *rig)
		ok         bool
	}{
		{"fresh", meminfo, func(*rig) {}, true},
		{"no sample that is fresh", meminfo, func(r *rig) { r.step(testPeriod) }, false},
		{"closed", meminfo, func(r *rig) { r.c.Close() }, false},
		{"view in use", meminfo, func(r *rig) { r.c.mu.Lock(); r.tb.Cleanup(r.c.mu.Unlock) }, false},
		{"sample being taken", meminfo, func(r *rig) { r.c.sampling.Lock(); r.tb.Cleanup(r.c.sampling.Unlock) }, true},
		{"origin not read", cpuinfo, func(*rig) {}, false},
		{"origin read", cpuinfo, func(r *rig) { r.read(cpuinfo) }, true},
		{"origin read and a new sample", cpuinfo, func(r *rig) {
			r.read(cpuinfo)
			r.step(testPeriod)
			r.read(meminfo)
		}, true},
		{"origin from before a hotplug", cpuinfo, func(r *rig) {
			r.read(cpuinfo)
			r.fake.Write(cpuDir+"/online", "0-2\n")
			r.step(testPeriod)
			r.read(meminfo)
		}, false},
		{"origin not fresh", "proc/partitions", func(r *rig) {
			r.read("proc/partitions")
			r.step(testPeriod)
			r.read(meminfo)
		}, false},
		{"member's origin not read", size, func(*rig) {}, false},
		{"member's origin read", size, func(r *rig) { r.read(size) }, true},
		{"no member", size, func(r *rig) {
			r.read(size)
			r.set(func(v *cgrouptest.Values) { v.CPUs = "0" })
			r.read(meminfo)
		}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, cgroupview.Unified, nil)
			tt.prepare(r)
			id, member, _ := lookUp(tt.path)
			if got, ok := r.c.TryRender([]byte("x"), id, member); ok != tt.ok || string(got) == "x" && ok || string(got) != "x" && !ok {
				t.Errorf("%s: %q, %v, want %v", tt.path, got, ok, tt.ok)
			}
		})
	}
	r := newRig(t, cgroupview.Unified, nil)
	for _, id := range []FileID{-1, FileID(len(files))} {
		if _, ok := r.c.TryRender(nil, id, 0); ok {
			t.Errorf("TryRender(%d) is ok", id)
		}
	}
}

func TestTryRenderDoesNotAllocate(t *testing.T) {
	r := newRig(t, cgroupview.Unified, func(r *rig) { r.cgroup.Update(goldenValues) })
	buf := make([]byte, 0, 64<<10)
	for _, path := range paths(t, r.c) {
		id, member, _ := lookUp(path)
		for _, read := range []bool{false, true} { // declined or not
			if read {
				r.read(path)
			}
			if n := testing.AllocsPerRun(10, func() { r.c.TryRender(buf, id, member) }); n != 0 {
				t.Errorf("%s: %v allocations per TryRender, want 0", path, n)
			}
		}
	}
}
