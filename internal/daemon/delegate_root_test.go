//go:build root

package daemon

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"cloister/internal/api"
	"cloister/internal/sys"
)

// TestDelegatedCgroup has a container's root make a cgroup in its own, where it can't
// change a limit.
func TestDelegatedCgroup(t *testing.T) {
	h := newHost(t)
	r := h.open().registry
	for _, nesting := range []bool{true, false} {
		g, err := r.register(api.Registration{ID: "c", Bundle: "/b/c", PID: os.Getpid(), Nesting: nesting})
		if err != nil {
			t.Fatal(err)
		}
		init := h.init(g.IDs)
		h.cgroup(r, init)
		if _, err := r.start(api.Start{ID: "c", Bundle: "/b/c", Key: g.Key, PID: init.Process.Pid}); err != nil {
			t.Fatal(err)
		}
		paths, err := r.views.layout.PathsOf(init.Process.Pid)
		if err != nil {
			t.Fatal(err)
		}
		uid := g.IDs.Start
		for _, dir := range r.views.layout.Dirs(paths) {
			below := filepath.Join(dir, "below")
			asRoot(t, uid, func() {
				if err := unix.Mkdir(below, 0o755); errors.Is(err, unix.EACCES) == nesting {
					t.Errorf("%s: make a cgroup below: %v, want success %v", dir, err, nesting)
				}
				if !nesting {
					return
				}
				procs, err := sys.Open(filepath.Join(dir, "cgroup.procs"), unix.O_WRONLY)
				if err != nil {
					t.Errorf("move processes: %v", err)
				}
				_ = procs.Close()
				for _, limit := range []string{"memory.limit_in_bytes", "memory.max", "pids.max", "cpu.cfs_quota_us", "cgroup.max.descendants", "notify_on_release"} {
					err := writeKernelFile(filepath.Join(dir, limit), []byte("1"))
					if !errors.Is(err, unix.EACCES) && !errors.Is(err, unix.ENOENT) {
						t.Errorf("%s: write a limit: %v, want permission denied", filepath.Join(dir, limit), err)
					}
				}
			})
			for _, parent := range []string{filepath.Dir(dir), filepath.Join(filepath.Dir(dir), "cgroup.procs")} {
				if st, err := sys.StatPath(parent); err != nil || st.UID != 0 {
					t.Errorf("%s belongs to %+v, %v", parent, st, err)
				}
			}
		}
		kill(init)
		if err := r.end(g.Key); err != nil {
			t.Fatal(err)
		}
		if left := removeEmpty(r.views.layout.Dirs(paths)); left {
			t.Error("a cgroup is left although its processes have ended")
		}
	}
}

// Another process in the cgroup shows that it is not the container's own.
func TestSharedCgroupIsNotDelegated(t *testing.T) {
	h := newHost(t)
	r := h.open().registry
	g, err := r.register(api.Registration{ID: "c", Bundle: "/b/c", PID: os.Getpid(), Nesting: true})
	if err != nil {
		t.Fatal(err)
	}
	init, other := h.init(g.IDs), h.process(nil)
	h.cgroup(r, init, other)
	if _, err := r.start(api.Start{ID: "c", Bundle: "/b/c", Key: g.Key, PID: init.Process.Pid}); err != nil {
		t.Fatal(err)
	}
	paths, err := r.views.layout.PathsOf(init.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range r.views.layout.Dirs(paths) {
		if st, err := sys.StatPath(dir); err != nil || st.UID != 0 {
			t.Errorf("%s belongs to %+v, %v", dir, st, err)
		}
	}
}

// asRoot runs f with the host's id of a container's root as the user of files, and
// without the right to pass over permissions.
func asRoot(t *testing.T, uid uint32, f func()) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := sys.AsUser(uid, func() error {
		return sys.WithoutCapability(unix.CAP_DAC_OVERRIDE, func() error { f(); return nil })
	})
	if err != nil {
		t.Fatal(err)
	}
}

// writeKernelFile makes one write to a file that is there.
func writeKernelFile(path string, data []byte) error {
	f, err := sys.Open(path, unix.O_WRONLY)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}
