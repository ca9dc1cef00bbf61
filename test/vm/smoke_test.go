//go:build vm

package vm

import (
	"strings"
	"testing"
)

const (
	daemonLog = "/data/daemon.log"
	start     = makeRootfs + `
cloister daemon --run-dir /run/cloister --state-dir /data/state >` + daemonLog + ` 2>&1 &
echo $! >/run/daemon.pid
`
	stop = `kill "$(cat /run/daemon.pid)"`
)

// smoke tests what every container sees of its host.
func smoke(t *testing.T, g *guest, features map[string]string) {
	g.run(t, start)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the daemon's log:\n%s", g.run(t, "cat "+daemonLog))
		}
	})
	status := g.until(t, "cloister status")
	t.Run("features", func(t *testing.T) { checkFeatures(t, status, features) })
	for _, runtime := range []string{"runc", "crun"} {
		t.Run(runtime, func(t *testing.T) { checkContainer(t, g, runtime) })
		t.Run(runtime+" given time namespace", func(t *testing.T) { checkGivenClocks(t, g, runtime) })
		t.Run(runtime+" host pid namespace", func(t *testing.T) { checkHostPID(t, g, runtime) })
	}
	t.Run("nothing is left", func(t *testing.T) {
		checkStatus(t, g.run(t, "cloister status"), "containers", "0")
		g.run(t, stop)
		g.until(t, `! grep cloister /proc/mounts && ! kill -0 "$(cat /run/daemon.pid)"`)
		if left := g.run(t, "find /sys/fs/cgroup/tests -mindepth 1 -type d"); left != "" {
			t.Errorf("cgroups are left:\n%s", left)
		}
	})
}

// checkStatus compares a line of `cloister status`.
func checkStatus(t *testing.T, status, name, want string) {
	t.Helper()
	for line := range strings.Lines(status) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			if got := strings.TrimSpace(value); got != want {
				t.Errorf("cloister status: %s is %q, want %q", name, got, want)
			}
			return
		}
	}
	t.Errorf("cloister status: no %q, want %q:\n%s", name, want, status)
}

func checkFeatures(t *testing.T, status string, features map[string]string) {
	checkStatus(t, status, "containers", "0")
	for _, needed := range []string{"userNamespaces", "mountAPI", "fuse", "pidfd", "idMappedMounts", "idMappedOverlay"} {
		checkStatus(t, status, needed, "yes")
	}
	for name, want := range features {
		checkStatus(t, status, name, want)
	}
}

// call returns the command line of the wrapper with a low-level runtime.
func call(runtime, args string) string {
	return "cloister-runtime --runtime-path " + runtime + " " + args
}

// checkContainer looks at a container from inside and outside.
func checkContainer(t *testing.T, g *guest, runtime string) {
	t.Log(g.run(t, runtime+" --version"))
	c := startContainer(t, g, runtime, "limited")
	for _, check := range []struct {
		name string
		run  func(t *testing.T, c *container)
	}{
		{"user namespace", checkUserNamespace},
		{"memory and swap", checkMemory},
		{"cpu", checkCPU},
		{"load", checkLoad},
		{"uptime", checkUptime},
		{"time namespace", checkTimeNamespace},
		{"owner on disk", checkOwner},
	} {
		t.Run(check.name, func(t *testing.T) { check.run(t, c) })
	}
}

func checkUserNamespace(t *testing.T, c *container) {
	for _, command := range []string{"cat /proc/self/uid_map", "cat /proc/self/gid_map"} {
		if got, want := strings.Fields(c.seen[command]), []string{"0", "100000", "65536"}; strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("%s: got %q, want %q", command, got, want)
		}
	}
}

func checkMemory(t *testing.T, c *container) {
	if got, want := c.field(t, "cat /proc/meminfo", "MemTotal:", 1), 64.0*1024; got != want {
		t.Errorf("MemTotal is %v kB, want the container's limit, %v kB", got, want)
	}
	swap := c.field(t, "cat /proc/meminfo", "SwapTotal:", 1)
	if want := 64.0 * 1024; swap != want {
		t.Errorf("SwapTotal is %v kB, want the container's limit, %v kB", swap, want)
	}
	if got := c.field(t, "cat /proc/swaps", "none", 2); got != swap {
		t.Errorf("/proc/swaps has %v kB, meminfo's SwapTotal is %v kB", got, swap)
	}
}

func checkCPU(t *testing.T, c *container) {
	if got := strings.Count("\n"+c.seen["cat /proc/cpuinfo"], "\nprocessor"); got != 1 {
		t.Errorf("half a CPU shows as %d processors in cpuinfo, want 1:\n%s", got, c.seen["cat /proc/cpuinfo"])
	}
	if got := strings.Count(c.seen["cat /proc/stat"], "\ncpu"); got != 1 {
		t.Errorf("half a CPU shows as %d rows in stat, want 1:\n%s", got, c.seen["cat /proc/stat"])
	}
	if got := c.seen["cat /sys/devices/system/cpu/online"]; got != "0" {
		t.Errorf("the CPUs online are %q, want 0", got)
	}
}

func checkLoad(t *testing.T, c *container) {
	f := strings.Fields(c.seen["cat /proc/loadavg"])
	if len(f) != 5 {
		t.Fatalf("loadavg has %d fields, want 5: %q", len(f), f)
	}
	for _, average := range f[:3] {
		// The container does nothing but to be looked at.
		if load := number(t, "loadavg", average); load > 1 {
			t.Errorf("an idle container has load %v", load)
		}
	}
	_, tasks, _ := strings.Cut(f[3], "/")
	if n := number(t, "loadavg", tasks); n > 8 { // sleep, and the shell and runtime that look
		t.Errorf("loadavg counts %v tasks, more than the container has: %q", n, f)
	}
}

// checkOwner makes a file as the container's root.
func checkOwner(t *testing.T, c *container) {
	c.g.run(t, call(c.runtime, "exec "+c.id+" touch /owned"))
	if got := strings.TrimSpace(c.g.run(t, "stat -c %u:%g "+rootfs+"/owned; rm "+rootfs+"/owned")); got != "0:0" {
		t.Errorf("a file that the container's root has made belongs to %s on disk, want 0:0", got)
	}
}

// checkHostPID starts a container that wants the host's pid namespace.
func checkHostPID(t *testing.T, g *guest, runtime string) {
	out, status := g.try(t, call(runtime, "run --detach --bundle /bundles/hostpid hostpid-"+runtime)+" 2>&1")
	if want := "can't share namespaces [pid] with the host"; status == 0 || !strings.Contains(out, want) {
		t.Errorf("exit status %d, want a refusal that says %q:\n%s", status, want, out)
	}
	if out, status := g.try(t, runtime+" state hostpid-"+runtime); status == 0 {
		t.Errorf("the refused container exists:\n%s", out)
	}
}
