//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cloister/internal/bundle"
	"cloister/internal/sys"
	"cloister/internal/sys/systest"
)

// runtimes are the low-level runtimes that bundles are run with.
var runtimes = []string{"runc", "crun"}

func eachRuntime(t *testing.T, test func(t *testing.T, e bundleEngine)) {
	for _, name := range runtimes {
		t.Run(name, func(t *testing.T) {
			need(t, name)
			t.Cleanup(func() { settled(t) })
			test(t, bundleEngine{name})
		})
	}
}

func TestBundleCore(t *testing.T) {
	eachRuntime(t, func(t *testing.T, e bundleEngine) { testCore(t, e) })
}

// bundleEngine calls cloister-runtime with a bundle, as an engine does.
type bundleEngine struct{ runtime string }

var bundles atomic.Int32

// bundle is a bundle with a root file system of its own.
type testBundle struct {
	t       *testing.T
	dir, id string
	spec    *specs.Spec
	runtime string
}

// newBundle makes a bundle that runs a shell script.
func (e bundleEngine) newBundle(t *testing.T, o options, script string) *testBundle {
	t.Helper()
	id := fmt.Sprintf("b%d", bundles.Add(1))
	b := &testBundle{t: t, id: id, dir: filepath.Join(world.Dir, id), runtime: e.runtime}
	if err := os.Mkdir(b.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(b.dir) })
	// The programs are shared, everything else is the bundle's own.
	sh(t, "sh", "-c", fmt.Sprintf("mkdir %[2]s && cp -a %[1]s/[!b]* %[2]s && cp -al %[1]s/bin %[2]s", world.Rootfs, filepath.Join(b.dir, "rootfs"))).ok(t)

	opts := &bundle.Options{
		Name: bundle.Name(id), Command: []string{"/bin/sh", "-c", script}, Rootfs: filepath.Join(b.dir, "rootfs"),
		Privileged: o.privileged,
	}
	if o.host != "" {
		opts.Host = append(opts.Host, specs.LinuxNamespaceType(o.host))
	}
	for text, value := range map[string]interface{ UnmarshalText([]byte) error }{
		o.memory: &opts.Limits.Memory, o.cpus: &opts.Limits.CPUs, o.cpuset: &opts.Limits.CPUSet,
	} {
		if text != "" {
			if err := value.UnmarshalText([]byte(text)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, text := range o.volumes {
		var v bundle.Volume
		if err := v.UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
		opts.Volumes = append(opts.Volumes, v)
	}
	b.spec = bundle.Spec(opts)
	b.spec.Root.Readonly = o.readOnly
	b.spec.Linux.CgroupsPath = world.CgroupParent() + "/" + id
	if o.user != "" {
		uid, err := strconv.ParseUint(o.user, 10, 32)
		if err != nil {
			t.Fatal(err)
		}
		b.spec.Process.User.UID, b.spec.Process.User.GID = uint32(uid), uint32(uid)
	}
	return b
}

func (b *testBundle) write() {
	b.t.Helper()
	data, err := json.MarshalIndent(b.spec, "", " ")
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(b.dir, "config.json"), data, 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// call calls cloister-runtime.
func (b *testBundle) call(args ...string) result {
	b.t.Helper()
	return sh(b.t, world.Wrapper, append([]string{"--runtime-path", b.runtime, "--root", b.root()}, args...)...)
}

func (b *testBundle) root() string { return filepath.Join(world.Dir, "state-"+b.runtime) }

func (b *testBundle) run() result {
	b.t.Helper()
	b.write()
	return b.call("run", "--bundle", b.dir, b.id)
}

// detached calls a command that leaves the container behind, which is deleted after
// the test. The container gets the runtime's standard streams: those are files.
func (b *testBundle) detached(command ...string) {
	b.t.Helper()
	b.write()
	line := fmt.Sprintf("%s --runtime-path %s --root %s %s --bundle %s --pid-file %[5]s/pid %s </dev/null >%[5]s/log 2>&1",
		world.Wrapper, b.runtime, b.root(), strings.Join(command, " "), b.dir, b.id)
	if r := sh(b.t, "sh", "-c", line); r.status != 0 {
		text, _ := os.ReadFile(filepath.Join(b.dir, "log"))
		b.t.Fatalf("%v\n%s", r, text)
	}
	b.t.Cleanup(func() { b.call("delete", "--force", b.id) })
}

func (e bundleEngine) run(t *testing.T, o options, script string) result {
	t.Helper()
	return e.newBundle(t, o, script).run()
}

func TestBundleLifeCycle(t *testing.T) {
	eachRuntime(t, func(t *testing.T, e bundleEngine) {
		b := e.newBundle(t, options{memory: "64m"}, "echo begun > /begun; sleep 1000")
		b.write()
		config, err := os.ReadFile(filepath.Join(b.dir, "config.json"))
		if err != nil {
			t.Fatal(err)
		}
		b.detached("create")
		check(t, filepath.Join(b.dir, "config.json"), string(config)) // the engine's own stays as it was

		all, err := world.Daemon.Client.Containers()
		if err != nil || len(all) != 1 || all[0].ID != b.id {
			t.Fatalf("the daemon knows %+v, %v", all, err)
		}
		pid, err := os.ReadFile(filepath.Join(b.dir, "pid"))
		if err != nil || string(pid) != strconv.Itoa(all[0].PID) {
			t.Errorf("pid file has %s, the daemon %d, %v", pid, all[0].PID, err)
		}
		if _, err := os.Stat(filepath.Join(b.dir, "rootfs/begun")); err == nil {
			t.Error("create has started the container's program")
		}
		b.call("start", b.id).ok(t)
		eventually(t, "the program runs", func() bool { _, err := os.Stat(filepath.Join(b.dir, "rootfs/begun")); return err == nil })
		if got := owner(t, filepath.Join(b.dir, "rootfs/begun")); got != 0 {
			t.Errorf("a file of the container's root belongs to %d on the host's disk", got)
		}
		if state := b.call("state", b.id).out(t); !strings.Contains(state, "running") {
			t.Errorf("state: %s", state)
		}
		b.call("exec", b.id, "head", "-n", "1", "/proc/meminfo").prints(t, "MemTotal:          65536 kB")
		b.call("exec", b.id, "cat", "/proc/self/uid_map").ok(t)
		b.call("kill", b.id, "KILL").ok(t)
		eventually(t, "the daemon sees the end before anybody deletes the container", func() bool {
			all, err := world.Daemon.Client.Containers()
			return err == nil && len(all) == 0
		})
		eventually(t, "the runtime sees the end", func() bool { return b.call("delete", b.id).status == 0 })
	})
}

func TestBundleSameIDTwice(t *testing.T) {
	eachRuntime(t, func(t *testing.T, e bundleEngine) {
		first := e.newBundle(t, options{}, "sleep 1000")
		first.write()
		sh(t, "sh", "-c", fmt.Sprintf("%s --runtime-path %s --root %s run -d --bundle %s %s </dev/null >/dev/null 2>&1",
			world.Wrapper, e.runtime, first.root(), first.dir, first.id)).ok(t)
		t.Cleanup(func() { first.call("delete", "--force", first.id) })
		second := e.newBundle(t, options{}, "true")
		second.id = first.id
		second.run().refused(t, "exists")
		first.call("exec", first.id, "cat", "/proc/self/uid_map").ok(t)
	})
}

// mapTo is an engine that maps the container's ids itself, to those from start on.
func mapTo(s *specs.Spec, start uint32) {
	s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
	s.Linux.UIDMappings = []specs.LinuxIDMapping{{HostID: start, Size: 65536}}
	s.Linux.GIDMappings = s.Linux.UIDMappings
}

func TestBundleRefusals(t *testing.T) {
	eachRuntime(t, func(t *testing.T, e bundleEngine) {
		running := e.newBundle(t, options{}, "sleep 1000")
		running.detached("run", "--detach")
		owner := uint32(firstID(t, running.call("exec", running.id, "cat", "/proc/self/uid_map")))
		stranger := systest.Process(t, sys.NewUser, 900_000_000).Process.Pid
		tests := []struct {
			name   string
			change func(*specs.Spec)
			want   string
		}{
			{"a path that leads to the host's network", func(s *specs.Spec) {
				for i := range s.Linux.Namespaces {
					if s.Linux.Namespaces[i].Type == specs.NetworkNamespace {
						s.Linux.Namespaces[i].Path = "/proc/self/ns/net"
					}
				}
			}, "can't share a network namespace with the host"},
			{"ids that are the host's", func(s *specs.Spec) { mapTo(s, 0) }, "mapping to host ID 0 ({0 0 65536}); this breaks container isolation"},
			{"the host's root", func(s *specs.Spec) { s.Root.Path = "/" }, "can't mount / because"},
			{"a directory of the host as root", func(s *specs.Spec) { s.Root.Path = "/etc" }, "can't mount /etc because"},
			{"a file system with options of the host's", func(s *specs.Spec) {
				s.Mounts = append(s.Mounts, specs.Mount{Type: "overlay", Source: "overlay", Destination: "/mnt", Options: []string{"lowerdir=/etc:/root"}})
			}, `mount of type "overlay" at /mnt`},
			{"a mount over the masks' source", func(s *specs.Spec) {
				s.Mounts = append(s.Mounts, specs.Mount{Type: "bind", Source: world.Rootfs, Destination: "/dev", Options: []string{"bind"}})
			}, "what hides the host's files in /proc"},
			{"an annotation that the runtime obeys", func(s *specs.Spec) {
				s.Annotations = map[string]string{"run.oci.hooks.stderr": "/etc/profile"}
			}, `would obey the annotation run.oci.hooks.stderr="/etc/profile" with the host's privileges`},
			{"a user's ids", func(s *specs.Spec) { mapTo(s, 1000) }, "the ids of the host's users"},
			{"another container's ids", func(s *specs.Spec) { mapTo(s, owner) }, "is in use"},
			{"another process's user namespace", func(s *specs.Spec) {
				s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace, Path: fmt.Sprintf("/proc/%d/ns/user", stranger)})
			}, "a user namespace that is not one of cloister's containers'"},
			{"a device", func(s *specs.Spec) {
				s.Linux.Devices = []specs.LinuxDevice{{Path: "/dev/loop0", Type: "b", Major: 7, Minor: 0}}
			}, "can't give the host's device /dev/loop0"},
		}
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				b := e.newBundle(t, options{}, "true")
				tt.change(b.spec)
				b.run().refused(t, tt.want)
			})
		}
		b := e.newBundle(t, options{}, "true")
		if err := os.WriteFile(filepath.Join(b.dir, "config.json"), []byte(`{"Linux": {}}`), 0o600); err != nil {
			t.Fatal(err)
		}
		b.call("run", "--bundle", b.dir, b.id).refused(t, `key "Linux" is spelled "linux"`)
	})
}

// TestBundleEngineMadeUserNamespace keeps the ids that an engine has chosen.
func TestBundleEngineMadeUserNamespace(t *testing.T) {
	eachRuntime(t, func(t *testing.T, e bundleEngine) {
		b := e.newBundle(t, options{memory: "64m"}, "cat /proc/self/uid_map; stat -c %u /etc/passwd; head -n 1 /proc/meminfo; touch /tmp/x")
		b.spec.Linux.Namespaces = append(b.spec.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
		b.spec.Linux.UIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: 700000, Size: 65536}}
		b.spec.Linux.GIDMappings = b.spec.Linux.UIDMappings
		for _, dir := range []string{world.Dir, b.dir} {
			if err := os.Chmod(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		sh(t, "sh", "-c", fmt.Sprintf("rm -r %[2]s && cp -a %[1]s %[2]s && chown -R 700000:700000 %[2]s", world.Rootfs, filepath.Join(b.dir, "rootfs"))).ok(t)
		r := b.run()
		r.prints(t, "0     700000      65536\n0\nMemTotal:          65536 kB")
	})
}

// killRounds is how many moments of a container's start are tried.
const killRounds = 25

// TestBundleRuntimeKilled kills the process that the engine started at every stage
// of its way: the wrapper, then the runtime that it has become.
func TestBundleRuntimeKilled(t *testing.T) {
	eachRuntime(t, func(t *testing.T, e bundleEngine) {
		var whole time.Duration // of a start that nobody disturbs
		for i := range killRounds {
			b := e.newBundle(t, options{memory: "64m", volumes: []string{t.TempDir() + ":/v:ro"}}, "true")
			b.write()
			cmd := world.Command(t.Context(), world.Wrapper, "--runtime-path", e.runtime, "--root", b.root(), "run", "--bundle", b.dir, b.id)
			begin := time.Now()
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if i == 0 {
				_ = cmd.Wait()
				whole = time.Since(begin)
				continue
			}
			timer := time.AfterFunc(whole*time.Duration(i)/killRounds, func() { _ = cmd.Process.Kill() })
			_ = cmd.Wait()
			timer.Stop()
			// What is left of the container itself is the engine's to remove.
			b.call("delete", "--force", b.id)
		}
	})
}

// TestBundleHookKilled has hooks that are killed at every stage. The wrapper names
// its own file as the program of the hooks; the low-level runtime here puts one in
// its place that kills the real one after a while.
func TestBundleHookKilled(t *testing.T) {
	need(t, "runc", "timeout")
	t.Cleanup(func() { settled(t) })
	refused := 0
	for i := range killRounds {
		b := bundleEngine{"runc"}.newBundle(t, options{}, "true")
		b.write()
		program, hook, runtime := filepath.Join(b.dir, "cloister-runtime"), filepath.Join(b.dir, "hook"), filepath.Join(b.dir, "runtime")
		if err := os.Link(world.Cloister, program); err != nil {
			t.Fatal(err)
		}
		script(t, hook, fmt.Sprintf("exec timeout -s KILL 0.%03d %s \"$@\"", 1+i, world.Cloister))
		script(t, runtime, fmt.Sprintf("mv -f %s %s 2>/dev/null; exec runc \"$@\"", hook, program))
		r := sh(t, program, "--runtime-path", runtime, "--root", b.root(), "run", "--bundle", b.dir, b.id)
		if r.status != 0 {
			refused++
		}
		sh(t, "runc", "--root", b.root(), "delete", "--force", b.id)
	}
	if refused == 0 {
		t.Error("no hook was killed in time")
	}
}

func script(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
}

func TestBundleOutOfMemory(t *testing.T) {
	eachRuntime(t, func(t *testing.T, e bundleEngine) {
		if r := e.run(t, options{memory: "16m"}, "tail /dev/zero"); r.status == 0 {
			t.Errorf("a container of 16 MiB has read an endless line: %v", r)
		}
	})
}

func TestBundleViewsFollowTheLimits(t *testing.T) {
	eachRuntime(t, func(t *testing.T, e bundleEngine) {
		b := e.newBundle(t, options{memory: "64m"}, "sleep 1000")
		b.write()
		sh(t, "sh", "-c", fmt.Sprintf("%s --runtime-path %s --root %s run -d --bundle %s %s </dev/null >/dev/null 2>&1",
			world.Wrapper, e.runtime, b.root(), b.dir, b.id)).ok(t)
		t.Cleanup(func() { b.call("delete", "--force", b.id) })
		b.call("exec", b.id, "head", "-n", "1", "/proc/meminfo").prints(t, "MemTotal:          65536 kB")
		b.call("update", "--memory", "33554432", "--memory-swap", "33554432", b.id).ok(t)
		b.call("exec", b.id, "head", "-n", "1", "/proc/meminfo").prints(t, "MemTotal:          32768 kB")
	})
}
