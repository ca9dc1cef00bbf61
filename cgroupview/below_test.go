package cgroupview_test

import (
	"testing"

	"cloister/cgroupview"
	"cloister/cgroupview/cgrouptest"
)

func TestBelow(t *testing.T) {
	tests := []struct {
		name, parent, child string
		want                bool
	}{
		{"equal", "/a/b", "/a/b", true},
		{"child", "/a/b", "/a/b/c", true},
		{"far below", "/a/b", "/a/b/c/d/e", true},
		{"written otherwise", "/a/b/", "/a//b/./c", true},
		{"of the root", "/", "/a", true},
		{"root of the root", "/", "/", true},
		{"parent", "/a/b", "/a", false},
		{"root", "/a/b", "/", false},
		{"sibling", "/a/b", "/a/c", false},
		{"sibling with the same prefix", "/a/b", "/a/bc", false},
		{"same name elsewhere", "/a/b", "/x/a/b", false},
		{"leaves and comes back", "/a/b", "/a/b/../b/c", false},
		{"leaves", "/a/b", "/a/b/../c", false},
		{"outside the namespace", "/a/b", "/../a/b", false},
		{"parent outside the namespace", "/..", "/a", false},
		{"relative", "/a/b", "a/b/c", false},
		{"no child", "/a/b", "", false},
		{"no parent", "", "/a/b", false},
		{"neither", "", "", false},
	}
	inModes(t, func(t *testing.T, h *cgrouptest.Host) {
		l := h.Layout()
		for _, tt := range tests {
			if got := l.Below(l.At(tt.parent), l.At(tt.child)); got != tt.want {
				t.Errorf("%s: Below(%q, %q) = %v, want %v", tt.name, tt.parent, tt.child, got, tt.want)
			}
		}
	})
}

// With v1 controllers every hierarchy has a word in it, but those that nothing is
// read in have none.
func TestBelowInEveryHierarchy(t *testing.T) {
	l := cgrouptest.New(t, cgroupview.Hybrid).Layout()
	parent := l.At("/a")
	tests := []struct {
		name   string
		change func(*cgroupview.Paths)
		want   bool
	}{
		{"all", func(*cgroupview.Paths) {}, true},
		{"outside in one", func(p *cgroupview.Paths) { p.V1["memory"] = "/b" }, false},
		{"below in one only", func(p *cgroupview.Paths) {
			*p = l.At("/b")
			p.V1["memory"] = "/a/b"
		}, false},
		{"missing in one", func(p *cgroupview.Paths) { delete(p.V1, "blkio") }, false},
		{"no v1 at all", func(p *cgroupview.Paths) { p.V1 = nil }, false},
		{"outside in a named one", func(p *cgroupview.Paths) { p.V1["name=systemd"] = "/b" }, true},
		{"outside in the cgroup2 tree, which has no controllers", func(p *cgroupview.Paths) { p.Unified = "/" }, true},
	}
	for _, tt := range tests {
		child := l.At("/a/b")
		tt.change(&child)
		if got := l.Below(parent, child); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

// Where nothing is read, nothing is known.
func TestBelowWithoutControllers(t *testing.T) {
	h := cgrouptest.New(t, cgroupview.Legacy)
	h.Write("proc/self/mountinfo", "30 22 0:30 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,devices\n")
	l := h.Layout()
	if l.Below(l.At("/a"), l.At("/a/b")) {
		t.Error("a cgroup is said to lie below another one")
	}
}

func TestBelowInPartialMount(t *testing.T) {
	h := cgrouptest.New(t, cgroupview.Unified)
	h.Cgroup("/outer")
	h.Write("proc/self/mountinfo", "50 22 0:50 /outer /sys/fs/cgroup/outer rw - cgroup2 cgroup2 rw\n")
	l := h.Layout()
	for child, want := range map[string]bool{"/outer/in": true, "/outer": true, "/outerspace": false, "/": false} {
		if got := l.Below(l.At("/outer"), l.At(child)); got != want {
			t.Errorf("%s: %v, want %v", child, got, want)
		}
	}
}
