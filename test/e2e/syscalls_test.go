//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cloister/internal/sys/systest/talk"
)

// showsSysinfo runs the probe and programs that ask by sysinfo(2) in a container of 64 MiB.
func showsSysinfo(t *testing.T, exec func(script string) result) {
	t.Helper()
	f := strings.Fields(exec("probe sysinfo").out(t))
	if len(f) != 3 || f[0] != "65536" {
		t.Fatalf("sysinfo says %q, want 65536 KiB of memory first", f)
	}
	if swap := number(t, f[1]); swap > hostKiB(t, "SwapTotal") {
		t.Errorf("%d KiB of swap are more than the host has", swap)
	}
	if up := number(t, f[2]); up > 600 {
		t.Errorf("up for %d s, want as long as the container", up)
	}
	if free := exec("free -k").out(t); !strings.HasPrefix(strings.Fields(free)[7], "65536") {
		t.Errorf("free shows\n%s", free)
	}
	if up := exec("uptime").out(t); !strings.Contains(up, " up 0 min") && !strings.Contains(up, " up 1 min") {
		t.Errorf("uptime shows %s", up)
	}
}

func number(t *testing.T, text string) int {
	t.Helper()
	return numbers(t, text)[0]
}

// testSyscalls is part of testCore.
func testSyscalls(t *testing.T, e engine) {
	for _, privileged := range []bool{false, true} {
		showsSysinfo(t, func(script string) result {
			return e.run(t, options{memory: "64m", privileged: privileged}, script)
		})
	}
}

// Without a profile of the engine's, ours keeps a container from sockets that reach the
// host, and only from those.
func testHiddenSockets(t *testing.T, e engine) {
	r := e.run(t, options{privileged: true}, "probe sockets; nc -z 127.0.0.1 1; ping -c1 -W1 127.0.0.1 >/dev/null 2>&1; echo done")
	if !strings.HasSuffix(r.out(t), "done") {
		t.Fatal(r)
	}
	for line := range strings.Lines(r.stdout) {
		if name, answer, ok := strings.Cut(strings.TrimSpace(line), " "); ok && answer != "EPERM" {
			t.Errorf("%s: got %s, want EPERM", name, answer)
		}
	}
}

// TestBundleSyscalls is what engines do not show: exec, and a filter that is not the
// engine's.
func TestBundleSyscalls(t *testing.T) {
	eachRuntime(t, func(t *testing.T, e bundleEngine) {
		b := e.newBundle(t, options{memory: "64m"}, "sleep 1000")
		b.detached("run", "--detach")
		showsSysinfo(t, func(script string) result { return b.call("exec", b.id, "sh", "-c", script) })

		b = e.newBundle(t, options{memory: "64m"}, "probe sysinfo; mount -t tmpfs none /mnt")
		b.spec.Linux.Seccomp = &specs.LinuxSeccomp{
			DefaultAction: specs.ActAllow,
			Syscalls:      []specs.LinuxSyscall{{Names: []string{"mount", "sysinfo"}, Action: specs.ActErrno}},
		}
		r := b.run()
		if r.status == 0 || !strings.Contains(r.all(), "not permitted") || strings.Contains(r.stdout, "65536") {
			t.Errorf("a profile that denies mount and sysinfo: %v", r)
		}
	})
}

// TestBundleSyscallsWorkerKilled kills the worker while calls are under way.
func TestBundleSyscallsWorkerKilled(t *testing.T) {
	eachRuntime(t, func(t *testing.T, e bundleEngine) {
		b := e.newBundle(t, options{memory: "64m"}, "sleep 1000")
		b.detached("run", "--detach")
		ctx, cancel := context.WithTimeout(context.Background(), commandTimeout)
		defer cancel()
		p := talk.Start(t, world.Command(ctx, world.Wrapper, "--runtime-path", b.runtime, "--root", b.root(), "exec", b.id, "probe", "sysinfo-again-and-again"))
		p.Hear("begun")
		for range 4 {
			endWorker(t, syscall.SIGKILL)
		}
		if right := p.Rest(); right != "true\n" {
			t.Error(right)
		}
		if err := p.End(); err != nil {
			t.Error(err)
		}
	})
}

// endWorker has the worker end, and waits for another one.
func endWorker(t *testing.T, by syscall.Signal) {
	t.Helper()
	before := worker(t)
	if err := before.Signal(by); err != nil {
		t.Fatal(err)
	}
	eventually(t, "another worker", func() bool {
		s, err := world.Daemon.Client.Status()
		return err == nil && s.WorkerPID != before.Pid
	})
}

// A listener that is on its way when the worker is killed, or is told to hand over, gets
// to the next one.
func TestBundleListenerArrivesAtTheNextWorker(t *testing.T) {
	need(t, "runc")
	b := bundleEngine{"runc"}.newBundle(t, options{memory: "64m"}, "sleep 1000")
	b.detached("run", "--detach")
	d, err := world.Daemon.Client.Container(b.id)
	if err != nil {
		t.Fatal(err)
	}
	for _, end := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
		cmd := exec.Command(filepath.Join(world.Rootfs, "bin", probeName), "arrival", filepath.Join(world.Daemon.RunDir, "seccomp.sock"), d.Key)
		p := talk.Start(t, cmd)
		p.Hear("half")
		t.Logf("%v", end)
		endWorker(t, end)
		p.Say("")
		p.Hear("65536")
		if err := p.End(); err != nil {
			t.Error(err)
		}
	}
}

// TestBundleWithoutListener makes sure that no container starts whose calls nobody would
// answer.
func TestBundleWithoutListener(t *testing.T) {
	eachRuntime(t, func(t *testing.T, e bundleEngine) {
		path := world.Daemon.RunDir + "/seccomp.sock"
		if err := os.Rename(path, path+".away"); err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := os.Rename(path+".away", path); err != nil {
				t.Error(err)
			}
		}()
		if r := e.run(t, options{}, "echo started"); r.status == 0 || strings.Contains(r.stdout, "started") {
			t.Errorf("it has started: %v", r)
		} else {
			t.Log(r)
		}
	})
}

// TestBundleCPUAffinity is the setting syscalls.cpuAffinity.
func TestBundleCPUAffinity(t *testing.T) {
	eachRuntime(t, func(t *testing.T, e bundleEngine) {
		run := func() string { return e.run(t, options{cpus: "0.5"}, "probe cpus; nproc").out(t) }
		all := fmt.Sprintf("%d\n%[1]d", hostCPUs(t))
		if got := run(); got != all {
			t.Errorf("by default got %q, want %q", got, all)
		}
		withSettings(t, `{"cloister": {"syscalls": {"cpuAffinity": true}}}`)
		if got := run(); got != "1\n1" {
			t.Errorf("with the setting got %q, want 1 CPU", got)
		}
	})
}

// withSettings has the daemon go by other settings until the end of the test.
func withSettings(t *testing.T, text string) {
	t.Helper()
	set := func(text string) {
		if err := os.WriteFile(world.Daemon.Settings, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		mustStop(t)
		mustStart(t)
	}
	set(text)
	t.Cleanup(func() { set("{}") })
}
