//go:build root

package daemon

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"cloister/internal/api"
	"cloister/internal/sys"
	"cloister/runtimehook/idrange"
)

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
	// Read by another process: this one's runtime would ask epoll about the file, and
	// this process has to answer that.
	meminfo, err := exec.Command("cat", filepath.Join(d.ViewsPath, "proc/meminfo")).Output()
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
		{"unannounced, without a user namespace", api.Start{ID: "x", PID: plain.Process.Pid, Bundle: "/b/x"}, "the host's, root's"},
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

// Ids that an engine has chosen are refused where they are somebody's: a container's,
// by its registration or by its own engine's choice, or a user's of the host.
func TestUnannouncedContainerWithForeignIDs(t *testing.T) {
	h := newHost(t)
	g, registered := h.run("web")
	ids := idrange.Range{Start: 1900000000, Size: 65536}
	first := h.init(ids)
	v := h.begin("", "first", first.Process.Pid)
	if err := h.client.Attached(v.Key, &api.Attached{Views: pathsOf(v)}); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		ids  idrange.Range
		want string
	}{
		{"of a registered container", g.IDs, "in use"},
		{"a part of them", idrange.Range{Start: g.IDs.Start + 1000, Size: 10}, "in use"},
		{"of another unannounced container", ids, "in use"},
		{"of a user of the host", idrange.Range{Start: 1000, Size: 10}, "not one range of ids"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			init := h.init(tt.ids)
			_, err := h.client.Start(&api.Start{ID: tt.name, PID: init.Process.Pid, Bundle: "/b/x"})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
			kill(init)
		})
	}
	kill(registered)
	kill(first)
	h.settled()
}

// The containers of a pod are in one user namespace.
func TestUnannouncedContainersInOneUserNamespace(t *testing.T) {
	h := newHost(t)
	ids := idrange.Range{Start: 1900000000, Size: 65536}
	pod := h.init(ids)
	v := h.begin("", "pod", pod.Process.Pid)
	if err := h.client.Attached(v.Key, &api.Attached{Views: pathsOf(v)}); err != nil {
		t.Fatal(err)
	}
	second := h.begin("", "second", pod.Process.Pid) // its init is in the same namespace
	if second.IDs != ids || second.Key == v.Key {
		t.Errorf("got %+v, want the pod's ids", second)
	}
	kill(pod)
	h.settled()
}

// dockerd's userns-remap gives all containers the same ids.
func TestRemappedContainersShareIDs(t *testing.T) {
	h := newHost(t)
	ids := idrange.Range{Start: 1900000000, Size: 65536}
	register := func(id, engine string) error {
		_, err := h.client.Register(&api.Registration{ID: id, Engine: engine, Bundle: "/b/" + id, PID: os.Getpid(), EngineIDs: &ids})
		return err
	}
	for _, id := range []string{"a", "b"} {
		if err := register(id, "docker"); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
	if err := register("c", "podman"); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("podman's container: got %v, want its ids in use", err)
	}
}

func TestUnannouncedContainerKeepsItsEnginesIDs(t *testing.T) {
	h := newHost(t)
	ids := idrange.Range{Start: 1900000000, Size: 65536}
	init := h.init(ids)
	v := h.begin("", "pod", init.Process.Pid)
	if v.IDs != ids {
		t.Errorf("got %v, want %v", v.IDs, ids)
	}
	if err := h.client.Attached(v.Key, &api.Attached{Views: pathsOf(v)}); err != nil {
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

// What is staged for a container is its root's to reach, and no other user's. Where nothing
// is staged it leaves nothing.
func TestContainerDirectoryIsItsRootsAlone(t *testing.T) {
	h := newHost(t)
	g := h.register("web", os.Getpid())
	dir, err := os.Open(g.Dir) // the test's own are not for others to pass
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	for _, test := range []struct {
		who    string
		start  uint32
		passes bool
	}{
		{"its root", g.IDs.Start, true},
		{"another's", g.IDs.Start + g.IDs.Size, false},
	} {
		maps := []syscall.SysProcIDMap{{HostID: int(test.start), Size: int(g.IDs.Size)}}
		can := func(what string) bool {
			cmd := exec.Command("sh", "-c", what, "/proc/self/fd/3")
			cmd.ExtraFiles = []*os.File{dir}
			cmd.SysProcAttr = &syscall.SysProcAttr{
				Cloneflags: sys.NewUser, Credential: &syscall.Credential{},
				UidMappings: maps, GidMappings: maps, GidMappingsEnableSetgroups: true,
			}
			return cmd.Run() == nil
		}
		if got := can(`cd "$0/rootfs"`); got != test.passes {
			t.Errorf("%s passes: %v, want %v", test.who, got, test.passes)
		}
		if can(`mkdir "$0/x"`) || can(`mkdir "$0/rootfs/x"`) || can(`rmdir "$0/rootfs"`) {
			t.Errorf("%s can write", test.who)
		}
	}
	if err := h.client.Release(g.Key); err != nil {
		t.Fatal(err)
	}
	h.settled()
}
