//go:build root

package daemon

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"cloister/fs"
	"cloister/internal/api"
	"cloister/internal/sys"
	"cloister/runtimehook/idrange"
)

func init() {
	// As in cmd/cloister: the process's first thread stays in its namespaces, where
	// others look for the views. It does not end with a goroutine that locks it.
	runtime.LockOSThread()
}

// open makes a daemon that nobody can ask: the test itself calls what it does.
func (h *host) open() *Daemon {
	h.t.Helper()
	d, end := h.openUntil()
	h.t.Cleanup(end)
	return d
}

// openUntil is open of one that end closes.
func (h *host) openUntil() (d *Daemon, end func()) {
	h.t.Helper()
	if err := h.stop(); err != nil {
		h.t.Fatal(err)
	}
	cfg := h.config()
	d = &Daemon{Config: cfg, log: cfg.Log}
	end = func() {
		if err := d.close(); err != nil {
			h.t.Error(err)
		}
	}
	if err := d.open(); err != nil {
		end()
		h.t.Fatal(err)
	}
	return d, end
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
		err = r.attached(g.Key, api.Attached{Views: pathsOf(v)})
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

// adoptable makes the record of a container whose init is a process of the test's.
func (h *host) adoptable(r *registry, id string, index uint32, init *exec.Cmd) *record {
	h.t.Helper()
	p, err := identify(init.Process.Pid)
	if err != nil {
		h.t.Fatal(err)
	}
	paths, err := r.views.layout.PathsOf(init.Process.Pid)
	if err != nil {
		h.t.Fatal(err)
	}
	return &record{
		Registration: api.Registration{ID: id, Bundle: "/b/" + id},
		Slot:         fs.Slot{Index: index, Generation: 1000 + index},
		BootID:       r.bootID, Init: p, Cgroups: paths, Attached: true,
	}
}

func TestAdoptedContainerWithoutIDsIsWatched(t *testing.T) {
	h := newHost(t)
	r := h.open().registry
	g, err := r.register(api.Registration{ID: "web", Bundle: "/b/web", PID: os.Getpid()})
	if err != nil {
		t.Fatal(err)
	}
	init := h.process(&syscall.SysProcAttr{})
	rec := h.adoptable(r, "clash", 7, init)
	rec.IDs = g.IDs
	if err := r.adoptOne(rec); !errors.Is(err, idrange.ErrTaken) {
		t.Fatalf("got %v, want that its ids are taken", err)
	}
	d, err := r.details("clash")
	if err != nil || d.State != "running" {
		t.Errorf("got %+v, %v, want a running container", d, err)
	}
	if err := r.end(rec.key()); err != nil {
		t.Error(err)
	}
	if _, err := r.get(rec.key()); err != nil {
		t.Errorf("a container that runs: %v", err)
	}
	kill(init)
	h.eventually("it is released", func() bool { _, err := r.get(rec.key()); return err != nil })
	if used := r.ids.Used(); used != uint64(g.IDs.Size) {
		t.Errorf("%d ids are in use, want those of the other one", used)
	}
}

func TestAdoptedContainerThatOutlivesItsInit(t *testing.T) {
	h := newHost(t)
	r := h.open().registry
	init, second := h.process(&syscall.SysProcAttr{}), h.process(&syscall.SysProcAttr{})
	h.cgroup(r, init, second)
	rec := h.adoptable(r, "shared", 7, init)
	rec.SharedPIDs = true
	kill(init)
	if err := r.adoptOne(rec); err != nil {
		t.Fatal(err)
	}
	if _, err := r.get(rec.key()); err != nil {
		t.Errorf("a container that has a process: %v", err)
	}
	kill(second)
	h.eventually("it is released", func() bool { _, err := r.get(rec.key()); return err != nil })
}

func TestContainerIsWatchedOnceThatIsPossible(t *testing.T) {
	h := newHost(t)
	r := h.open().registry
	init := h.process(&syscall.SysProcAttr{})
	rec := h.adoptable(r, "web", 7, init)
	works := r.exits
	var err error
	if r.exits, err = sys.NewExitWatcher(); err != nil {
		t.Fatal(err)
	}
	if err := r.exits.Close(); err != nil {
		t.Fatal(err)
	}
	if err := r.adoptOne(rec); !errors.Is(err, unix.EBADF) {
		t.Fatalf("got %v, want that nothing can be watched", err)
	}
	c, err := r.get(rec.key())
	if err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	r.exits = works
	c.mu.Unlock()
	kill(init)
	h.eventually("it is released", func() bool { _, err := r.get(rec.key()); return err != nil })
}

// A record has to be gone before another container can get its ids.
func TestAdoptedContainersRecordGoesBeforeItsIDs(t *testing.T) {
	h := newHost(t)
	r := h.open().registry
	rec := h.adoptable(r, "web", 7, h.process(&syscall.SysProcAttr{}))
	rec.IDs = idrange.Range{Start: 2000000000, Size: idrange.Size}
	if err := r.store.put(rec); err != nil {
		t.Fatal(err)
	}
	if err := r.adoptOne(rec); err != nil {
		t.Fatal(err)
	}
	c, err := r.get(rec.key())
	if err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, undo := range slices.Backward(c.undo) {
		if err := undo(); err != nil {
			t.Error(err)
		}
		if _, err := r.store.get(c.name()); err == nil && r.ids.Used() == 0 {
			t.Fatal("its ids are free while its record is there")
		}
	}
	c.phase, c.undo = released, nil
}

// What one container has mounted keeps neither the daemon nor other containers from
// coming back.
func TestRestartWithMountsOnTopOfViews(t *testing.T) {
	h := newHost(t)
	_, good := h.run("good")
	_, silent := h.run("silent")
	_, pile := h.run("pile")
	if err := h.stop(); err != nil {
		t.Fatal(err)
	}
	defer h.mountFUSE(silent, "/proc/meminfo")()
	defer h.mountFUSE(silent, "/proc")()
	for range 20 {
		h.mountFUSE(pile, "/proc/meminfo")()
	}
	h.start()
	meminfo := fmt.Sprintf("/proc/%d/root/proc/meminfo", good.Process.Pid)
	h.eventually("the other container has its views", func() bool {
		mounts, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", good.Process.Pid))
		return err == nil && strings.Contains(string(mounts), " /proc/meminfo ")
	})
	// Read by another process: the runtime would ask epoll about the file, and this
	// process has to answer that.
	if text, err := exec.Command("cat", meminfo).Output(); err != nil || !strings.HasPrefix(string(text), "MemTotal:") {
		t.Errorf("got %q, %v", text, err)
	}
	if err := h.stop(); err != nil {
		t.Error(err)
	}
	h.start()
	for _, cmd := range []*exec.Cmd{good, silent, pile} {
		kill(cmd)
	}
	h.settled()
}

// mountFUSE mounts a file system in a container whose server does not answer, and
// is dead once what it returns was called.
func (h *host) mountFUSE(container *exec.Cmd, path string) (die func()) {
	h.t.Helper()
	server, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil {
		h.t.Fatal(err)
	}
	kind := unix.S_IFREG
	if path == "/proc" {
		kind = unix.S_IFDIR
	}
	options := fmt.Sprintf("fd=%d,rootmode=%o,user_id=0,group_id=0,allow_other", server.Fd(), kind)
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends in the container
		init, err := sys.OpenProcess(container.Process.Pid)
		if err != nil {
			done <- err
			return
		}
		defer init.Close()
		err = errors.Join(sys.UnshareFS(), sys.EnterMounts(init))
		if err == nil {
			err = sys.Mount("test", path, "fuse.test", 0, options)
		}
		done <- err
	}()
	if err := <-done; err != nil {
		h.t.Fatal(err)
	}
	return func() { _ = server.Close() }
}
