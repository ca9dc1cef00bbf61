//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"cloister/test/lab"
)

// podmanEngine runs containers with podman run, with cloister as its runtime or in
// its hooks.
type podmanEngine struct {
	t     *testing.T
	flags []string
}

// podmanDir returns a directory of podman's own for these tests.
func podmanDir(name string) string { return filepath.Join(world.Dir, "p", name) }

var podmanImage sync.Once

// newPodman loads the image once.
func newPodman(t *testing.T, flags ...string) podmanEngine {
	t.Helper()
	need(t, "podman")
	e := podmanEngine{t: t, flags: flags}
	podmanImage.Do(func() {
		if err := os.MkdirAll(podmanDir("hooks.d"), 0o755); err != nil {
			t.Fatal(err)
		}
		load := fmt.Sprintf("tar -C %s -c . | podman %s import - %s", world.Rootfs, strings.Join(podmanFlags(), " "), lab.ImageName)
		sh(t, "sh", "-c", load).ok(t)
	})
	t.Cleanup(func() { settled(t) })
	return e
}

func podmanFlags() []string {
	return []string{
		"--root", podmanDir("root"), "--runroot", podmanDir("runroot"), "--tmpdir", podmanDir("tmp"),
		"--cgroup-manager", "cgroupfs", "--events-backend", "none", "--network-config-dir", podmanDir("networks"),
	}
}

// podman runs a podman command.
func (e podmanEngine) podman(args ...string) result {
	e.t.Helper()
	return sh(e.t, "podman", append(append(podmanFlags(), e.flags...), args...)...)
}

func (e podmanEngine) run(t *testing.T, o options, script string) result {
	t.Helper()
	e.t = t
	return e.podman(append([]string{"run", "--rm", "--cgroup-parent", world.CgroupParent()}, runArgs(o, script)...)...)
}

// wrapped returns the flags that make cloister podman's runtime.
func wrapped(runtime string) []string {
	return []string{"--runtime", world.Wrapper, "--runtime-flag", "run-dir=" + world.Daemon.RunDir, "--runtime-flag", "runtime-path=" + runtime}
}

// lasting are the arguments for a container that commands are executed in: podman
// gives those the container's resource limits, and the defaults are more than a root
// without CAP_SYS_RESOURCE may give.
func lasting(name string, args ...string) []string {
	return append([]string{
		"run", "-d", "--name", name, "--network=none", "--cgroup-parent", world.CgroupParent(),
		"--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024",
	}, args...)
}

func TestPodmanCore(t *testing.T) {
	for _, runtime := range runtimes {
		t.Run(runtime, func(t *testing.T) {
			need(t, runtime)
			testCore(t, newPodman(t, wrapped(runtime)...))
		})
	}
}

// TestPodmanHooksCore has the hooks of deploy/hooks.d, with crun as podman's own
// runtime.
func TestPodmanHooksCore(t *testing.T) {
	need(t, "crun")
	e := newPodman(t, "--runtime", "crun", "--hooks-dir", installHooks(t, "podman"))
	testCore(t, e)
}

// installHooks copies hooks of deploy/hooks.d, with the paths of these tests.
func installHooks(t *testing.T, name string) string {
	t.Helper()
	dir := filepath.Join(podmanDir("hooks.d"), name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join("../../deploy/hooks.d", name, "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no hooks for %s: %v", name, err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		changed := strings.NewReplacer("/usr/bin/cloister", world.Cloister, `"args": ["cloister", "hook",`,
			fmt.Sprintf(`"args": ["cloister", "--run-dir", %q, "hook",`, world.Daemon.RunDir)).Replace(string(text))
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(f)), []byte(changed), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestPodmanReadOnlyRoot has a read-only root with podman's tmpfs mounts on it, without, and
// with ids of podman's own.
func TestPodmanReadOnlyRoot(t *testing.T) {
	need(t, "crun")
	dir := t.TempDir()
	for name, flags := range map[string][]string{"runc": wrapped("runc"), "crun": wrapped("crun"), "hooks": {"--runtime", "crun", "--hooks-dir", installHooks(t, "podman")}} {
		for _, extra := range []string{"--read-only-tmpfs=true", "--read-only-tmpfs=false", "--uidmap=0:500000:65536"} {
			t.Run(name+" "+extra, func(t *testing.T) {
				need(t, strings.ReplaceAll(name, "hooks", "crun"))
				newPodman(t, flags...).podman("run", "--rm", "--network=none", "--cgroup-parent", world.CgroupParent(), "--read-only", "--cap-add=SYS_ADMIN", extra,
					"-v", dir+":/a/b", "-v", dir+":/run/new/dir", "-w", "/run/new/dir", lab.ImageName, "sh", "-c",
					"pwd; touch /x /a/x 2>/dev/null || echo no; mount -o remount,bind,rw / 2>/dev/null || echo no").prints(t, "/run/new/dir\nno\nno")
			})
		}
	}
}

func TestPodmanLifeOfAContainer(t *testing.T) {
	need(t, "crun")
	hooks := installHooks(t, "podman")
	for name, flags := range map[string][]string{"wrapper": wrapped("crun"), "hooks": {"--runtime", "crun", "--hooks-dir", hooks}} {
		t.Run(name, func(t *testing.T) {
			e := newPodman(t, flags...)
			e.podman(lasting("life", "-m", "64m", lab.ImageName, "sh", "-c", "echo made > /made; sleep 1000")...).ok(t)
			t.Cleanup(func() { e.podman("rm", "-f", "-t", "0", "life") })
			eventually(t, "the container has made its file", func() bool { return e.podman("exec", "life", "test", "-e", "/made").status == 0 })
			e.podman("exec", "life", "head", "-n", "1", "/proc/meminfo").prints(t, "MemTotal:          65536 kB")
			firstID(t, e.podman("exec", "life", "cat", "/proc/self/uid_map"))
			if diff := e.podman("diff", "life").out(t); !strings.Contains(diff, "A /made") {
				t.Errorf("podman diff: %s", diff)
			}
			out := filepath.Join(t.TempDir(), "made")
			e.podman("cp", "life:/made", out).ok(t)
			check(t, out, "made\n")
			e.podman("commit", "-q", "life", "localhost/committed:1").ok(t)
			t.Cleanup(func() { e.podman("rmi", "-f", "localhost/committed:1") })
			e.podman("restart", "-t", "0", "life").ok(t)
			firstID(t, e.podman("exec", "life", "cat", "/proc/self/uid_map"))
			e.podman("stop", "-t", "0", "life").ok(t)
			settled(t)
		})
	}
}

// TestPodmanNetworkIsTheEngines: podman makes the network namespace beforehand, so
// it belongs to the host's user namespace.
func TestPodmanNetworkIsTheEngines(t *testing.T) {
	need(t, "iptables")
	for _, runtime := range runtimes {
		t.Run(runtime, func(t *testing.T) {
			need(t, runtime)
			e := newPodman(t, wrapped(runtime)...)
			r := e.podman("run", "--rm", "--cgroup-parent", world.CgroupParent(), "--sysctl=net.ipv4.ip_default_ttl=42", "--cap-add=NET_ADMIN", lab.ImageName, "sh", "-c", `
				cat /proc/self/uid_map | wc -l
				ls /sys/class/net | tr '\n' ' '
				cat /proc/sys/net/ipv4/ip_default_ttl
				ip addr add 10.9.9.9/32 dev lo 2>&1 | grep -o 'not permitted'
				touch /sys/class/net/x 2>/dev/null || echo no
				probe ping`)
			r.prints(t, "1\neth0 lo 42\nnot permitted\nno\nsocket ALLOWED")
		})
	}
}

func TestPodmanPod(t *testing.T) {
	need(t, "crun")
	e := newPodman(t, wrapped("crun")...)
	e.podman(lasting("owner", lab.ImageName, "sleep", "1000")...).ok(t)
	t.Cleanup(func() { e.podman("rm", "-f", "-t", "0", "owner") })
	owner := firstID(t, e.podman("exec", "owner", "cat", "/proc/self/uid_map"))
	r := e.podman("run", "--rm", "--network=container:owner", "--ipc=container:owner", "--cgroup-parent", world.CgroupParent(), lab.ImageName, "cat", "/proc/self/uid_map")
	if got := firstID(t, r); got != owner {
		t.Errorf("a container that shares namespaces has ids from %d on, their owner from %d", got, owner)
	}
}

// TestPodmanOwnMapping keeps a mapping that podman has made.
func TestPodmanOwnMapping(t *testing.T) {
	need(t, "crun")
	e := newPodman(t, wrapped("crun")...)
	e.podman("run", "--rm", "--uidmap=0:800000:65536", "--network=none", "-m", "64m", "--cgroup-parent", world.CgroupParent(), lab.ImageName,
		"sh", "-c", "cat /proc/self/uid_map; head -n 1 /proc/meminfo; stat -c %u /etc/passwd").
		prints(t, "0     800000      65536\nMemTotal:          65536 kB\n0")
	e.podman("run", "--rm", "--uidmap=0:0:65536", "--network=none", "--cgroup-parent", world.CgroupParent(), lab.ImageName, "true").
		refused(t, "mapping to host ID 0")
}

// TestPodmanWithoutACgroup has the hooks: with the wrapper podman refuses by itself.
func TestPodmanWithoutACgroup(t *testing.T) {
	need(t, "crun")
	e := newPodman(t, "--runtime", "crun", "--hooks-dir", installHooks(t, "podman"))
	e.podman("run", "--rm", "--cgroups=disabled", "--network=none", lab.ImageName, "true").refused(t, "needs a cgroup of its own")
}

// TestHooksAlone has only the prestart hook, as CRI-O calls it: what an engine
// isolates gets views, what it does not isolate is refused.
func TestHooksAlone(t *testing.T) {
	need(t, "crun")
	e := newPodman(t, "--runtime", "crun", "--hooks-dir", installHooks(t, "cri-o"))
	run := func(args ...string) result {
		return e.podman(append([]string{"run", "--rm", "--network=none", "--cgroup-parent", world.CgroupParent(), "--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024"}, args...)...)
	}
	run("--uidmap=0:800000:65536", "-m", "64m", lab.ImageName, "head", "-n", "1", "/proc/meminfo").prints(t, "MemTotal:          65536 kB")
	run(lab.ImageName, "true").refused(t, "error executing hook")
	if !logged(t, "container refused", "the container's ids are the host's") {
		t.Error("the daemon's log does not say why the container was refused")
	}
}
