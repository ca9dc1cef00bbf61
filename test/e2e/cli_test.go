//go:build e2e

package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"cloister/internal/api"
)

// cli runs the cloister command.
func cli(t *testing.T, args ...string) result {
	t.Helper()
	return sh(t, world.Cloister, args...)
}

func TestRun(t *testing.T) {
	for _, runtime := range runtimes {
		t.Run(runtime, func(t *testing.T) {
			need(t, runtime, "free")
			t.Cleanup(func() { settled(t) })
			run := func(args ...string) result {
				return cli(t, append([]string{"run", "--runtime", runtime}, args...)...)
			}
			firstID(t, run("cat", "/proc/self/uid_map"))
			r := run("-m", "256M", "--cpus", "0.5", "--", "sh", "-c", "free -m | awk '/^Mem/ {print $2}'; nproc --all; uptime -p; ls /root /home /var | xargs; hostname")
			if got := strings.Split(r.out(t), "\n"); got[0] != "256" || got[2] != "up 0 minutes" || got[3] != "/home: /root: /var:" || got[4] == hostname(t) {
				t.Errorf("got %q", got)
			}
			run("--cpuset-cpus", "0", "nproc").prints(t, "1")
			run("-m", "256M", "top", "-bn1").ok(t)
			if r := run("sh", "-c", "exit 9"); r.status != 9 {
				t.Errorf("got %v, want status 9", r)
			}
			dir := t.TempDir()
			write1(t, filepath.Join(dir, "f"), "text\n")
			run("-v", dir+":/v:ro", "sh", "-c", "cat /v/f; touch /v/g 2>/dev/null || echo no").prints(t, "text\nno")
			run("--privileged", "sh", "-c", "mount -t tmpfs none /tmp && echo yes").prints(t, "yes")
			run("--rootfs", world.Rootfs, "busybox", "id", "-u").prints(t, "0")
			if r := shInput(t, strings.NewReader("spoken\n"), world.Cloister, "run", "--runtime", runtime, "-i", "cat"); r.stdout != "spoken\n" {
				t.Errorf("-i: %v", r)
			}
			if r := sh(t, "script", "-qec", fmt.Sprintf("%s run --runtime %s -it tty", world.Cloister, runtime), "/dev/null"); !strings.Contains(r.stdout, "/dev/pts/") {
				t.Errorf("-t: %v", r)
			}
			run("--pid=host", "true").refused(t, "cloister containers can't share namespaces [pid] with the host")
			run("--network=host", "true").refused(t, "with the host (because they use the linux user-namespace for isolation)")
			for _, path := range []string{"/etc", "/usr", "/"} {
				run("-v", path+":/x", "true").refused(t, "can't mount "+path+" because")
				run("--rootfs", path, "true").refused(t, "can't mount "+path+" because")
			}
		})
	}
}

func hostname(t *testing.T) string {
	t.Helper()
	name, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// TestRunLeavesNothingWhenItsRuntimeIsKilled: for these containers there is no
// engine that would clean up.
func TestRunLeavesNothingWhenItsRuntimeIsKilled(t *testing.T) {
	need(t, "runc")
	t.Cleanup(func() { settled(t) })
	name := ownName("orphan")
	cmd := world.Command(t.Context(), world.Cloister, "run", "--runtime", "runc", "--name", name, "sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var c api.Container
	eventually(t, "the container runs", func() bool {
		all, err := world.Daemon.Client.Containers()
		if err != nil || len(all) != 1 || all[0].PID == 0 || len(all[0].Views) == 0 {
			return false
		}
		c = all[0]
		return sh(t, "runc", "state", name).status == 0 && strings.Contains(sh(t, "runc", "state", name).stdout, "running")
	})
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	sh(t, "kill", "-9", fmt.Sprint(c.PID)).ok(t)
	settled(t)
	eventually(t, "runc has forgotten the container", func() bool { return sh(t, "runc", "state", name).status != 0 })
	cli(t, "run", "--runtime", "runc", "--name", name, "true").ok(t)
}

// ownName makes a name that no other run of these tests has: a runtime keeps all
// containers of `cloister run` on the host in one place.
func ownName(name string) string { return fmt.Sprintf("%s-%d", name, os.Getpid()) }

// runUntilTheEnd has `cloister run` start a container, whose program has begun when it
// returns, and which is killed when the test ends.
func runUntilTheEnd(t *testing.T, name string, flags ...string) {
	t.Helper()
	args := append([]string{"run", "--runtime", "runc", "--name", name}, flags...)
	begin(t, args, func() { sh(t, world.Wrapper, "kill", name, "KILL") })
}

// begin runs a container by a `cloister run` of flags, and waits until its program has
// begun: before that its first process has the host's files. kill ends it with the test.
func begin(t *testing.T, flags []string, kill func()) {
	t.Helper()
	cmd := world.Command(context.Background(), world.Cloister,
		append(flags, "--", "sh", "-c", "echo begun; exec sleep 1000")...)
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		kill()
		_ = cmd.Wait() // it was killed
	})
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "begun\n" {
		_ = cmd.Process.Kill() // there may be no container to kill
		t.Fatalf("the container says %q: %v", line, err)
	}
}

func TestListsAndStatus(t *testing.T) {
	need(t, "runc")
	t.Cleanup(func() { settled(t) })
	name := ownName("listed")
	runUntilTheEnd(t, name, "-m", "64m")
	var all []api.Container
	decode(t, cli(t, "ps", "--json"), &all)
	if len(all) != 1 || len(all[0].Views) == 0 {
		t.Fatalf("got %+v, want the container with its views", all)
	}
	c := all[0]
	if c.ID != name || c.Name != name || c.PID == 0 || c.UIDStart < 100000 || c.Size != 65536 || c.Engine != "cloister" ||
		!strings.HasSuffix(c.Runtime, "runc") || c.Cgroup == "" || c.CreatedAt.IsZero() {
		t.Errorf("listed as %+v", c)
	}
	table := cli(t, "ps").out(t)
	if !regexp.MustCompile(`(?m)^listed-\d+ +listed-\d+ +\d+ +\d+-\d+ +cloister`).MatchString(table) {
		t.Errorf("table:\n%s", table)
	}
	var details api.ContainerDetails
	decode(t, cli(t, "inspect", "--json", name[:4]), &details)
	if details.State != "running" || details.ID != name {
		t.Errorf("inspected as %+v", details)
	}
	cli(t, "inspect", "nobody").refused(t, "no such container")

	var raw map[string]any
	decode(t, cli(t, "status", "--json"), &raw)
	for _, key := range []string{"version", "pid", "workerPid", "containers", "views", "runDir", "stateDir", "idRegion", "runtime", "features"} {
		if _, ok := raw[key]; !ok {
			t.Errorf("status has no %q: %v", key, raw)
		}
	}
	if s := cli(t, "status").out(t); !strings.Contains(s, "containers") {
		t.Errorf("status:\n%s", s)
	}
}

func decode(t *testing.T, r result, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(r.ok(t).stdout), v); err != nil {
		t.Fatalf("%v: %v", err, r)
	}
}

func TestDoctor(t *testing.T) {
	r := cli(t, "doctor", "--state-dir", world.Daemon.StateDir, "--settings", world.Daemon.Settings)
	if !strings.Contains(r.stdout, "kernel") || !strings.Contains(r.stdout, "daemon") || strings.Contains(r.stdout, "\nfail") {
		t.Errorf("on a host where containers run: %v", r)
	}
	var findings []struct{ State, Subject, Detail, Next string }
	decode(t, cli(t, "doctor", "--json", "--state-dir", world.Daemon.StateDir, "--settings", world.Daemon.Settings), &findings)
	if len(findings) < 10 {
		t.Errorf("only %d findings", len(findings))
	}
}

func TestHelpAndErrors(t *testing.T) {
	help := cli(t, "--help").out(t)
	for _, command := range []string{"run", "ps", "inspect", "status", "doctor", "daemon", "hook", "completion"} {
		if !strings.Contains(help, "  "+command) {
			t.Errorf("help does not name %s:\n%s", command, help)
		}
	}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		if code := cli(t, "completion", "-c", shell).out(t); !strings.Contains(code, "cloister") {
			t.Errorf("completion for %s: %q", shell, code)
		}
	}
	if r := cli(t, "frobnicate"); r.status != 2 || !strings.Contains(r.stderr, "cloister --help") {
		t.Errorf("unknown command: %v", r)
	}
	if r := cli(t, "run", "-m", "much", "true"); r.status != 2 || !strings.Contains(r.stderr, "cloister run --help") {
		t.Errorf("bad flag: %v", r)
	}
	cli(t, "--run-dir", "/nonexistent", "ps").refused(t, "start it with")
}
