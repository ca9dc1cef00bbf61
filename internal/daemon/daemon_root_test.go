//go:build root

package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/moby/sys/mountinfo"
	"github.com/rs/zerolog"

	"cloister/internal/api"
	"cloister/internal/sys"
	"cloister/runtimehook/idrange"
)

// TestMain lets the test program be a container's init, or a client that is not
// root.
func TestMain(m *testing.M) {
	switch {
	case len(os.Args) == 2 && os.Args[1] == "init":
		select {}
	case len(os.Args) == 3 && os.Args[1] == "status":
		_, err := api.NewClient(os.Args[2]).Status()
		fmt.Println(err)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// host is a daemon of its own with its directories.
type host struct {
	t                          *testing.T
	client                     *api.Client
	runDir, stateDir, settings string
	stop                       func() error
}

func newHost(t *testing.T) *host {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	h := &host{t: t, runDir: filepath.Join(dir, "run"), stateDir: filepath.Join(dir, "state"), settings: filepath.Join(dir, "settings.json")}
	// High ids, away from those of daemons and users of this machine.
	h.configure(`{"cloister": {"idRegion": {"start": 2000000000, "size": 65536000}}}`)
	h.start()
	return h
}

func (h *host) configure(text string) {
	h.t.Helper()
	if err := os.WriteFile(h.settings, []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

// start runs a daemon until stop or the end of the test.
func (h *host) start() {
	h.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- Run(ctx, h.config()) }()
	h.stop = sync.OnceValue(func() error { cancel(); return <-done })
	h.t.Cleanup(func() {
		if err := h.stop(); err != nil {
			h.t.Error(err)
		}
	})
	h.client = api.NewClient(h.runDir)
	h.eventually("the daemon answers", func() bool { _, err := h.client.Status(); return err == nil })
}

func (h *host) config() Config {
	return Config{
		RunDir: h.runDir, StateDir: h.stateDir, SettingsPath: h.settings, Version: "test",
		Log:      zerolog.New(zerolog.NewTestWriter(h.t)),
		Features: func() map[string]bool { return map[string]bool{} },
	}
}

// eventually polls: the end of a process is noticed by another one.
func (h *host) eventually(what string, ok func() bool) {
	h.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(30 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			h.t.Fatalf("not within 30 s: %s", what)
		}
	}
}

// process starts this program as something that waits to be killed.
func (h *host) process(attr *syscall.SysProcAttr) *exec.Cmd {
	h.t.Helper()
	cmd := exec.Command("/proc/self/exe", "init")
	attr.Pdeathsig = syscall.SIGKILL
	cmd.SysProcAttr = attr
	if err := cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { kill(cmd) })
	return cmd
}

func kill(cmd *exec.Cmd) {
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
}

// init starts what a runtime would: a process in namespaces of its own.
func (h *host) init(ids idrange.Range) *exec.Cmd {
	maps := []syscall.SysProcIDMap{{ContainerID: 0, HostID: int(ids.Start), Size: int(ids.Size)}}
	return h.process(&syscall.SysProcAttr{
		Cloneflags:  sys.NewUser | sys.NewPID | sys.NewNS | sys.NewNet | sys.NewIPC | sys.NewUTS,
		UidMappings: maps, GidMappings: maps,
	})
}

func (h *host) register(id string, creator int) *api.Grant {
	h.t.Helper()
	g, err := h.client.Register(&api.Registration{ID: id, Name: id, Engine: "test", Bundle: "/b/" + id, PID: creator})
	if err != nil {
		h.t.Fatal(err)
	}
	return g
}

// run brings a container to life and returns its grant and init.
func (h *host) run(id string) (*api.Grant, *exec.Cmd) {
	h.t.Helper()
	g := h.register(id, os.Getpid())
	p := h.init(g.IDs)
	v := h.begin(g.Key, id, p.Process.Pid)
	if err := h.client.Attached(g.Key, &api.Attached{Files: v.Files}); err != nil {
		h.t.Fatal(err)
	}
	return g, p
}

func (h *host) begin(key, id string, pid int) *api.Views {
	h.t.Helper()
	v, err := h.client.Start(&api.Start{ID: id, PID: pid, Bundle: "/b/" + id, Key: key})
	if err != nil {
		h.t.Fatal(err)
	}
	return v
}

// settled waits until no container and nothing of any is left.
func (h *host) settled() {
	h.t.Helper()
	h.eventually("no container is left", func() bool {
		s, err := h.client.Status()
		return err == nil && s.Containers == 0 && s.IDRegion.Used == 0
	})
	for _, dir := range []string{filepath.Join(h.runDir, "containers"), filepath.Join(h.runDir, "views")} {
		if names := h.list(dir); len(names) != 0 {
			h.t.Errorf("%s still holds %v", dir, names)
		}
	}
	if names := h.list(filepath.Join(h.stateDir, "containers")); !slices.Equal(names, []string{generationFile}) {
		h.t.Errorf("the state directory still holds %v", names)
	}
}

func (h *host) list(dir string) (names []string) {
	h.t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestLifeOfAContainer(t *testing.T) {
	h := newHost(t)
	g, init := h.run("web")
	if g.IDs != (idrange.Range{Start: 2000000000, Size: 65536}) {
		t.Errorf("got ids %v, want the first block of the region", g.IDs)
	}
	all, err := h.client.Containers()
	if err != nil || len(all) != 1 {
		t.Fatalf("got %v, %v, want one container", all, err)
	}
	c := all[0]
	if c.PID != init.Process.Pid || c.UIDStart != g.IDs.Start || c.Name != "web" || len(c.Views) == 0 {
		t.Errorf("listed as %+v", c)
	}
	d, err := h.client.Container("we")
	if err != nil || d.State != "running" {
		t.Fatalf("found by the beginning of its id: %+v, %v", d, err)
	}
	meminfo, err := os.ReadFile(filepath.Join(d.ViewsPath, "proc/meminfo"))
	if err != nil || !strings.HasPrefix(string(meminfo), "MemTotal:") {
		t.Errorf("view on the host: %q, %v", meminfo, err)
	}
	kill(init)
	h.settled()
}

func TestReleaseWhileItRunsWaitsForItsEnd(t *testing.T) {
	h := newHost(t)
	g, init := h.run("web")
	if err := h.client.Release(g.Key); err != nil {
		t.Fatal(err)
	}
	if s, err := h.client.Status(); err != nil || s.Containers != 1 {
		t.Errorf("a running container was released: %+v, %v", s, err)
	}
	kill(init)
	h.settled()
	if err := h.client.Release(g.Key); err != nil {
		t.Errorf("releasing once more: %v", err)
	}
}

func TestRuntimeKilledBeforeTheHook(t *testing.T) {
	h := newHost(t)
	creator := h.process(&syscall.SysProcAttr{})
	h.register("web", creator.Process.Pid)
	kill(creator)
	h.settled()
}

func TestHookKilledBeforeItAttached(t *testing.T) {
	h := newHost(t)
	g := h.register("web", os.Getpid())
	init := h.init(g.IDs)
	h.begin(g.Key, "web", init.Process.Pid)
	kill(init) // what a runtime does when a hook fails
	h.settled()
	if err := h.client.Attached(g.Key, &api.Attached{}); err == nil {
		t.Error("a container that is gone was attached")
	}
}

func TestStartRefuses(t *testing.T) {
	h := newHost(t)
	g := h.register("web", os.Getpid())
	other := h.init(idrange.Range{Start: g.IDs.Start + 65536, Size: 65536})
	plain := h.process(&syscall.SysProcAttr{})
	tests := []struct {
		name  string
		start api.Start
		want  string
	}{
		{"ids of another range", api.Start{ID: "web", PID: other.Process.Pid, Bundle: "/b/web", Key: g.Key}, "promised was the range"},
		{"no user namespace", api.Start{ID: "web", PID: plain.Process.Pid, Bundle: "/b/web", Key: g.Key}, "promised was the range"},
		{"another container's key", api.Start{ID: "db", PID: other.Process.Pid, Bundle: "/b/db", Key: g.Key}, "is of container web"},
		{"an unknown key", api.Start{ID: "web", PID: other.Process.Pid, Key: "9.9"}, "no such container"},
		{"unannounced, without a user namespace", api.Start{ID: "x", PID: plain.Process.Pid, Bundle: "/b/x"}, "the host's root"},
		{"a process that is gone", api.Start{ID: "y", PID: 1 << 22, Bundle: "/b/y"}, "has ended"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := h.client.Start(&tt.start); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
		})
	}
	if err := h.client.Release(g.Key); err != nil {
		t.Fatal(err)
	}
	h.settled()
}

func TestUnannouncedContainerKeepsItsEnginesIDs(t *testing.T) {
	h := newHost(t)
	ids := idrange.Range{Start: 1900000000, Size: 65536}
	init := h.init(ids)
	v := h.begin("", "pod", init.Process.Pid)
	if v.IDs != ids {
		t.Errorf("got %v, want %v", v.IDs, ids)
	}
	if err := h.client.Attached(v.Key, &api.Attached{Files: v.Files}); err != nil {
		t.Fatal(err)
	}
	if again := h.begin("", "pod", init.Process.Pid); !again.Attached {
		t.Error("a second hook of the same container attaches once more")
	}
	kill(init)
	h.settled()
}

func TestSecondContainerOfTheSameID(t *testing.T) {
	h := newHost(t)
	_, init := h.run("web")
	_, err := h.client.Register(&api.Registration{ID: "web", PID: os.Getpid()})
	if err == nil || !strings.Contains(err.Error(), "container exists") {
		t.Errorf("got %v, want a conflict", err)
	}
	kill(init)
	g := h.register("web", os.Getpid()) // at once: the end may not have been noticed
	if err := h.client.Release(g.Key); err != nil {
		t.Fatal(err)
	}
	h.settled()
}

func TestSharedUserNamespace(t *testing.T) {
	h := newHost(t)
	g, init := h.run("web")
	ns, err := userNamespaceOf(init.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	sidecar, err := h.client.Register(&api.Registration{ID: "sidecar", PID: os.Getpid(), UserNamespace: &ns})
	if err != nil {
		t.Fatal(err)
	}
	if sidecar.IDs != g.IDs || sidecar.OwnerPID != init.Process.Pid {
		t.Errorf("got %+v, want the ids %v of process %d", sidecar, g.IDs, init.Process.Pid)
	}
	kill(init)
	h.eventually("the owner is released", func() bool { s, err := h.client.Status(); return err == nil && s.Containers == 1 })
	if next := h.register("next", os.Getpid()); next.IDs == g.IDs {
		t.Error("ids that a container still shares were given out again")
	} else if err := h.client.Release(next.Key); err != nil {
		t.Fatal(err)
	}
	if err := h.client.Release(sidecar.Key); err != nil {
		t.Fatal(err)
	}
	h.settled()

	foreign := sys.FileID{Dev: 1, Ino: 1}
	if _, err := h.client.Register(&api.Registration{ID: "x", PID: os.Getpid(), UserNamespace: &foreign}); err == nil || !strings.Contains(err.Error(), "not one of cloister's") {
		t.Errorf("got %v, want a refusal", err)
	}
}

func TestRestartAdoptsContainers(t *testing.T) {
	h := newHost(t)
	g, init := h.run("web")
	_, ended := h.run("ended")
	waiting := h.register("waiting", os.Getpid())
	if err := h.stop(); err != nil {
		t.Fatal(err)
	}
	if mounts := mountsBelow(t, h.runDir); len(mounts) != 0 {
		t.Errorf("the stopped daemon left the mounts %v", mounts)
	}
	kill(ended)
	stale := *sample(200, 1)
	stale.ID, stale.BootID = "stale", "an earlier boot"
	if err := (&store{dir: filepath.Join(h.stateDir, "containers")}).put(&stale); err != nil {
		t.Fatal(err)
	}
	h.start()
	all, err := h.client.Containers()
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, c := range all {
		ids = append(ids, c.ID)
	}
	if !slices.Equal(ids, []string{"web", "waiting"}) {
		t.Errorf("got %v, want web and waiting", ids)
	}
	if next := h.register("next", os.Getpid()); next.IDs.Overlaps(g.IDs) || next.IDs.Overlaps(waiting.IDs) {
		t.Errorf("%v was given out, which is in use", next.IDs)
	} else if err := h.client.Release(next.Key); err != nil {
		t.Fatal(err)
	}
	kill(init)
	if err := h.client.Release(waiting.Key); err != nil {
		t.Fatal(err)
	}
	h.settled()
}

func mountsBelow(t *testing.T, dir string) (paths []string) {
	t.Helper()
	mounts, err := mountinfo.GetMounts(mountinfo.PrefixFilter(dir))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range mounts {
		paths = append(paths, m.Mountpoint)
	}
	return paths
}

func TestTwoDaemons(t *testing.T) {
	a, b := newHost(t), newHost(t)
	ga, gb := a.register("web", os.Getpid()), b.register("web", os.Getpid())
	if ga.IDs.Overlaps(gb.IDs) {
		t.Errorf("both gave out %v", ga.IDs)
	}
	again := a.config()
	again.StateDir = t.TempDir()
	if err := Run(context.Background(), again); err == nil || !strings.Contains(err.Error(), "another daemon serves") {
		t.Errorf("got %v, want a refusal of a second daemon in one run directory", err)
	}
	for h, g := range map[*host]*api.Grant{a: ga, b: gb} {
		if err := h.client.Release(g.Key); err != nil {
			t.Fatal(err)
		}
		h.settled()
	}
}

func TestFullDisk(t *testing.T) {
	h := newHost(t)
	dir := filepath.Join(h.stateDir, "containers")
	if err := sys.Mount("tmpfs", dir, "tmpfs", 0, "size=4k"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sys.Detach(dir) })
	if err := os.WriteFile(filepath.Join(dir, "filler"), make([]byte, 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := h.client.Register(&api.Registration{ID: "web", PID: os.Getpid()})
	if err == nil || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("got %v, want the reason", err)
	}
	if err := sys.Detach(dir); err != nil {
		t.Fatal(err)
	}
	g := h.register("web", os.Getpid())
	if g.IDs.Start != 2000000000 {
		t.Errorf("the failed registration keeps ids: got %v", g.IDs)
	}
	if err := h.client.Release(g.Key); err != nil {
		t.Fatal(err)
	}
	h.settled()
}

func TestConcurrentRegistrations(t *testing.T) {
	h := newHost(t)
	var mu sync.Mutex
	held := map[idrange.Range]string{} // guarded by mu
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			client := api.NewClient(h.runDir)
			for round := range 10 {
				id := fmt.Sprintf("c%d-%d", i, round)
				g, err := client.Register(&api.Registration{ID: id, PID: os.Getpid()})
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				if other, ok := held[g.IDs]; ok {
					t.Errorf("%s and %s both have %v", id, other, g.IDs)
				}
				held[g.IDs] = id
				mu.Unlock()
				mu.Lock()
				delete(held, g.IDs)
				mu.Unlock()
				if err := client.Release(g.Key); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	h.settled()
}

func TestOnlyRootMayAsk(t *testing.T) {
	h := newHost(t)
	exe := filepath.Join(filepath.Dir(h.runDir), "client")
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(exe, self, 0o755); err != nil {
		t.Fatal(err)
	}
	ask := func() string {
		cmd := exec.Command(exe, "status", h.runDir)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	for dir := filepath.Dir(h.runDir); dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if got := ask(); !strings.Contains(got, "only root may use") {
		t.Errorf("got %q", got)
	}
	if err := os.Chmod(api.SocketPath(h.runDir), 0o666); err != nil {
		t.Fatal(err)
	}
	if got := ask(); !strings.Contains(got, "only root may use the control socket") {
		t.Errorf("with a socket that is open to all: got %q", got)
	}
}

func TestKilledDaemonsLeftoversAreCleanedUp(t *testing.T) {
	h := newHost(t)
	if err := h.stop(); err != nil {
		t.Fatal(err)
	}
	// What a daemon leaves that is killed: its socket, and mounts.
	if err := os.WriteFile(api.SocketPath(h.runDir), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	dir := containersDir(h.runDir)
	for range 2 {
		if err := sys.BindOnto(dir, dir); err != nil {
			t.Fatal(err)
		}
	}
	h.start()
	g := h.register("web", os.Getpid())
	if err := h.client.Release(g.Key); err != nil {
		t.Fatal(err)
	}
	h.settled()
	if err := h.stop(); err != nil {
		t.Fatal(err)
	}
	if mounts := mountsBelow(t, h.runDir); len(mounts) != 0 {
		t.Errorf("mounts left: %v", mounts)
	}
}

func TestBadSettings(t *testing.T) {
	h := newHost(t)
	if err := h.stop(); err != nil {
		t.Fatal(err)
	}
	h.configure(`{"cloister": {`)
	if err := Run(context.Background(), h.config()); err == nil || !strings.Contains(err.Error(), h.settings) {
		t.Errorf("got %v, want an error that names the file", err)
	}
	if _, err := h.client.Status(); !errors.Is(err, api.ErrNoDaemon) {
		t.Errorf("a daemon with broken settings serves: %v", err)
	}
}
