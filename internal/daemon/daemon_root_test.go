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

	"github.com/moby/sys/mountinfo"

	"cloister/internal/api"
	"cloister/internal/sys"
	"cloister/runtimehook/idrange"
)

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
	if err := Run(context.Background(), again); err == nil || !strings.Contains(err.Error(), "is in use by another daemon") {
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

// everyonesClient returns this program in a place that every user can run it from, and
// lets them pass to the run directory.
func (h *host) everyonesClient() string {
	h.t.Helper()
	exe := filepath.Join(filepath.Dir(h.runDir), "client")
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(exe, self, 0o755); err != nil {
		h.t.Fatal(err)
	}
	for dir := filepath.Dir(h.runDir); dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			h.t.Fatal(err)
		}
	}
	return exe
}

func TestOnlyRootMayAsk(t *testing.T) {
	h := newHost(t)
	exe := h.everyonesClient()
	ask := func() string {
		cmd := exec.Command(exe, "status", h.runDir)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
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
