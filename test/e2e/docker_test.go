//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"cloister/test/lab"
)

func TestDockerCore(t *testing.T) {
	needDocker(t)
	for runtime, program := range map[string]string{"cloister": "runc", "cloister-crun": "crun"} {
		t.Run(program, func(t *testing.T) {
			need(t, program)
			testCore(t, dockerEngine{runtime})
		})
	}
}

// TestDockerAsInTheManual runs the commands of Docker's own pages.
func TestDockerAsInTheManual(t *testing.T) {
	needDocker(t)
	run := func(args ...string) result {
		return dk(t, append([]string{"run", "--rm", "--network=none", "--runtime=cloister"}, args...)...)
	}
	uid := firstID(t, run(lab.ImageName, "cat", "/proc/self/uid_map"))
	if want := firstFree(t); uid != want {
		t.Errorf("the first container's ids begin at %d, want %d", uid, want)
	}
	run("-m", "256m", lab.ImageName, "head", "-n", "1", "/proc/meminfo").prints(t, "MemTotal:         262144 kB")
	firstID(t, run("--userns=host", lab.ImageName, "cat", "/proc/self/uid_map"))
	run("-v", "/etc/passwd:/mnt/passwd", lab.ImageName, "true").refused(t, "OCI runtime create failed: error in the container spec: can't mount /etc/passwd because it's configured as a restricted host mount")
	dk(t, "run", "--rm", "--runtime=cloister", "--network=host", lab.ImageName, "true").refused(t, "cloister containers can't share a network namespace with the host (because they use the linux user-namespace for isolation)")
	run("-v", world.Docker.Socket()+":/var/run/docker.sock", lab.ImageName, "true").refused(t, fmt.Sprintf("docker socket mount denied for container with image %q", lab.ImageName))

	dockerStart(t, "inspected", lab.ImageName, "sleep", "1000")
	dk(t, "inspect", "--format={{.HostConfig.Runtime}}", "inspected").prints(t, "cloister")
}

func TestDockerFilesAndImages(t *testing.T) {
	needDocker(t)
	dir := t.TempDir()
	dockerStart(t, "files", lab.ImageName, "sh", "-c", "echo made > /made; chown 1000:1000 /made; rm /pkg/layer; sleep 1000")
	eventually(t, "the container has removed a file", func() bool { return dexec(t, "files", "[ ! -e /pkg/layer ]").status == 0 })

	dk(t, "cp", "files:/made", filepath.Join(dir, "out")).ok(t)
	check(t, filepath.Join(dir, "out"), "made\n")
	write1(t, filepath.Join(dir, "in"), "from outside\n")
	dk(t, "cp", filepath.Join(dir, "in"), "files:/in").ok(t)
	dexec(t, "files", "cat /in; stat -c %u:%g /in; echo more >> /in; chown 5:6 /in; stat -c %u:%g /in").prints(t, "from outside\n0:0\n5:6")

	changes := dk(t, "diff", "files").out(t)
	for _, want := range []string{"A /made", "A /in", "D /pkg/layer"} {
		if !strings.Contains(changes, want) {
			t.Errorf("docker diff does not show %q:\n%s", want, changes)
		}
	}
	upper := dk(t, "inspect", "--format={{.GraphDriver.Data.UpperDir}}", "files").out(t)
	owners := diskOwners(t, upper)
	for _, want := range []string{"made 1000:1000", "in 5:6", "pkg/layer 0:0"} {
		if !strings.Contains(owners, want) {
			t.Errorf("on the host's disk there is no %q:\n%s", want, owners)
		}
	}

	dk(t, "commit", "files", "localhost/committed:1").ok(t)
	t.Cleanup(func() { dk(t, "rmi", "-f", "localhost/committed:1") })
	for _, runtime := range []string{"cloister", "runc"} { // and back to a plain runtime
		dk(t, "run", "--rm", "--network=none", "--runtime="+runtime, "localhost/committed:1",
			"sh", "-c", "stat -c '%n %u:%g' /made /in; [ -e /pkg/layer ] || echo gone").prints(t, "/made 1000:1000\n/in 5:6\ngone")
	}
	listing := sh(t, "sh", "-c", lab.DockerClient()+" export files | tar -tv --numeric-owner").out(t)
	if !regexp.MustCompile(`1000/1000 .* made`).MatchString(listing) || strings.Contains(listing, " pkg/layer") {
		t.Errorf("docker export shows\n%s", listing)
	}

	dk(t, "stop", "-t", "0", "files").ok(t)
	dk(t, "cp", "files:/in", filepath.Join(dir, "stopped")).ok(t)
	check(t, filepath.Join(dir, "stopped"), "from outside\nmore\n")
	dk(t, "cp", filepath.Join(dir, "in"), "files:/later").ok(t)
	dk(t, "start", "files").ok(t)
	dexec(t, "files", "cat /later; stat -c %u:%g /later /in").prints(t, "from outside\n0:0\n5:6")
}

func TestDockerLifeOfAContainer(t *testing.T) {
	needDocker(t)
	dockerStart(t, "life", "-m", "128m", lab.ImageName, "sh", "-c", "echo started; trap 'exit 0' TERM; while :; do sleep 1; done")
	before := firstID(t, dexec(t, "life", "cat /proc/self/uid_map"))

	dexec(t, "life", "id -u").prints(t, "0")
	dk(t, "exec", "-u", "1000", "life", "id", "-u").prints(t, "1000")
	dk(t, "exec", "--privileged", "life", "grep", "-c", "CapEff.*ffffffff$", "/proc/self/status").prints(t, "1")
	if r := sh(t, "script", "-qec", lab.DockerClient()+" exec -it life tty", "/dev/null"); !strings.Contains(r.stdout, "/dev/pts/") {
		t.Errorf("docker exec -it: %v", r)
	}
	dk(t, "logs", "life").prints(t, "started")
	dk(t, "stats", "--no-stream", "--format", "{{.MemUsage}}", "life").ok(t)
	if r := dk(t, "top", "life", "-o", "pid,uid,cmd"); !strings.Contains(r.stdout, strconv.Itoa(before)) {
		t.Errorf("docker top does not show the host's user id %d: %v", before, r)
	}
	dk(t, "pause", "life").ok(t)
	dk(t, "inspect", "--format={{.State.Status}}", "life").prints(t, "paused")
	dk(t, "unpause", "life").ok(t)

	dexec(t, "life", "head -n 1 /proc/meminfo").prints(t, "MemTotal:         131072 kB")
	dk(t, "update", "-m", "64m", "--memory-swap", "64m", "life").ok(t)
	dexec(t, "life", "head -n 1 /proc/meminfo").prints(t, "MemTotal:          65536 kB")

	dk(t, "restart", "-t", "1", "life").ok(t)
	firstID(t, dexec(t, "life", "cat /proc/self/uid_map"))
	dexec(t, "life", "head -n 1 /proc/meminfo").prints(t, "MemTotal:          65536 kB")
	dk(t, "stop", "-t", "5", "life").ok(t)
	settled(t)
	dk(t, "start", "life").ok(t)
	dk(t, "kill", "life").ok(t)
	dk(t, "wait", "life").prints(t, "137")
}

func TestDockerOptions(t *testing.T) {
	needDocker(t)
	base := []string{"run", "--rm", "--network=none", "--runtime=cloister"}
	tests := []struct {
		name   string
		args   []string
		script string
		want   string
	}{
		{"init", []string{"--init"}, "cat /proc/1/comm", "docker-init"},
		{"tmpfs", []string{"--tmpfs=/t:mode=1777,size=1m", "--user=1000"}, "touch /t/x; stat -c %u:%g /t/x", "1000:1000"},
		{"working directory", []string{"-w", "/made/for/me"}, "pwd; stat -c %u:%g .", "/made/for/me\n0:0"},
		{"environment and host name", []string{"-e", "A=b c", "--hostname=h"}, `echo "$A"; hostname`, "b c\nh"},
		{"sysctls", []string{"--sysctl=net.ipv4.ip_forward=1", "--sysctl=kernel.shmmax=123456"}, "cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/shmmax", "1\n123456"},
		{"domain name", []string{"--domainname=example"}, "cat /proc/sys/kernel/domainname", "example"},
		{"groups that may ping", nil, "cat /proc/sys/net/ipv4/ping_group_range | tr '\\t' ' '", "0 65535"},
		{"capabilities", []string{"--cap-drop=ALL", "--cap-add=CHOWN"}, "grep CapEff /proc/self/status | cut -f 2", "0000000000000001"},
		{"resource limits", []string{"--ulimit=nofile=64:128"}, "ulimit -n; ulimit -Hn", "64\n128"},
		{"groups", []string{"--group-add=1000", "--group-add=7"}, "id -G", "0 7 1000"},
		{"memory and swap", []string{"-m=64m", "--memory-swap=64m"}, "awk '/^SwapTotal/ {print $2}' /proc/meminfo; wc -l < /proc/swaps", "0\n1"},
		{"nice shared memory", []string{"--shm-size=1m"}, "df -k /dev/shm | awk 'NR == 2 {print $2}'", "1024"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			args := append(append([]string{}, base...), tt.args...)
			dk(t, append(args, lab.ImageName, "sh", "-c", tt.script)...).prints(t, tt.want)
		})
	}
	for arg, want := range map[string]string{
		"--device=/dev/loop0":                  "can't give the host's device /dev/loop0",
		"--device-cgroup-rule=b 8:* rwm":       "can't allow a container the devices b 8:* (rwm)",
		"--mount=type=bind,src=/srv,dst=/dev/": "what hides the host's files in /proc",
	} {
		dk(t, append(append([]string{}, base...), arg, lab.ImageName, "true")...).refused(t, want)
	}
}

// TestDockerReadOnlyRoot: what a read-only container shows in docker diff is as without
// cloister.
func TestDockerReadOnlyRoot(t *testing.T) {
	needDocker(t)
	dir := t.TempDir()
	var diffs []string
	for _, runtime := range []string{"runc", "cloister", "cloister-crun"} {
		dk(t, "run", "--name=readonly", "--network=none", "--runtime="+runtime, "--read-only", "-v", dir+":/a/b", "--tmpfs=/c/d", "-w", "/new/dir",
			lab.ImageName, "sh", "-c", "pwd; stat -c %u:%g . /a/b /c/d; touch x 2>/dev/null || echo no").prints(t, "/new/dir\n0:0\n0:0\n0:0\nno")
		lines := strings.Split(dk(t, "diff", "readonly").out(t), "\n")
		slices.Sort(lines)
		diffs = append(diffs, strings.Join(lines, "\n"))
		dk(t, "start", "-a", "readonly").ok(t)
		dk(t, "rm", "readonly").ok(t)
	}
	if diffs[1] != diffs[0] || diffs[2] != diffs[0] {
		t.Errorf("docker diff shows\n%s", strings.Join(diffs, "\n\n"))
	}
}

func TestDockerNamedVolume(t *testing.T) {
	needDocker(t)
	t.Cleanup(func() { dk(t, "volume", "rm", "-f", "kept", "etc") })
	run := func(script string, args ...string) result {
		return dk(t, append(append([]string{"run", "--rm", "--network=none", "--runtime=cloister"}, args...), lab.ImageName, "sh", "-c", script)...)
	}
	run("echo 1 > /home/a; chown 7:8 /home/a", "-v", "kept:/home").ok(t)
	// The volume took the image's content at its place, with its owner.
	run("cat /v/a; stat -c %u:%g /v /v/a", "-v", "kept:/v").prints(t, "1\n1000:1000\n7:8")
	run("touch /v/x 2>/dev/null || echo no", "-v", "kept:/v:ro").prints(t, "no")

	dk(t, "volume", "create", "-o", "type=none", "-o", "o=bind", "-o", "device=/etc", "etc").ok(t)
	run("ls /v", "-v", "etc:/v").refused(t, "restricted host mount")
}

func TestDockerSharedNamespaces(t *testing.T) {
	needDocker(t)
	dockerStart(t, "owner", "--ipc=shareable", "--cap-add=NET_ADMIN", lab.ImageName, "sleep", "1000")
	run := func(script string, args ...string) result {
		return dk(t, append(append([]string{"run", "--rm", "--runtime=cloister"}, args...), lab.ImageName, "sh", "-c", script)...)
	}
	const namespaces = "for n in user net ipc; do readlink /proc/self/ns/$n; done"
	of := func(r result) []string { return strings.Split(r.out(t), "\n") }
	owner := of(dexec(t, "owner", namespaces))

	joined := of(run(namespaces, "--network=container:owner"))
	if joined[0] != owner[0] || joined[1] != owner[1] || joined[2] == owner[2] {
		t.Errorf("--network=container: has %v, the owner %v", joined, owner)
	}
	run("ip addr add 10.9.9.9/32 dev lo && ip addr show lo | grep -c 10.9.9.9", "--network=container:owner", "--cap-add=NET_ADMIN").prints(t, "1")
	run("cat /proc/1/comm; touch /dev/shm/x && stat -c %u:%g /dev/shm/x", "--network=none", "--ipc=container:owner", "--pid=container:owner").
		prints(t, "sleep\n0:0")
	if got, want := firstID(t, run("cat /proc/self/uid_map", "--network=container:owner")), firstID(t, dexec(t, "owner", "cat /proc/self/uid_map")); got != want {
		t.Errorf("ids begin at %d, the owner's at %d", got, want)
	}
}

// TestDockerNetworkOfAPlainContainer joins a network namespace that belongs to the
// host's user namespace.
func TestDockerNetworkOfAPlainContainer(t *testing.T) {
	needDocker(t)
	dk(t, "run", "-d", "--name=plain", "--network=none", "--runtime=runc", lab.ImageName, "sleep", "1000").ok(t)
	t.Cleanup(func() { dk(t, "rm", "-f", "plain") })
	run := func(script string, args ...string) result {
		return dk(t, append(append([]string{"run", "--rm", "--runtime=cloister"}, args...), lab.ImageName, "sh", "-c", script)...)
	}
	firstID(t, run("cat /proc/self/uid_map", "--network=container:plain"))
	run("ls /sys/class/net; ip addr add 10.9.9.9/32 dev lo 2>&1 | grep -o 'not permitted'", "--network=container:plain", "--cap-add=NET_ADMIN").
		prints(t, "lo\nnot permitted")
	run("true", "--network=none", "--pid=container:plain").refused(t, "start the container that it is shared with by cloister too")
}

func TestDockerBridgeNetwork(t *testing.T) {
	needDocker(t)
	dk(t, "run", "-d", "--name=server", "--runtime=cloister", lab.ImageName, "sh", "-c", "echo hello > /var/index.html; httpd -f -h /var -p 80").ok(t)
	t.Cleanup(func() { dk(t, "rm", "-f", "server") })
	address := dk(t, "inspect", "--format={{.NetworkSettings.IPAddress}}", "server").out(t)
	get := fmt.Sprintf("until wget -qO- http://%s/index.html 2>/dev/null; do :; done", address)
	dk(t, "run", "--rm", "--runtime=cloister", lab.ImageName, "sh", "-c", get).prints(t, "hello")
	dk(t, "run", "--rm", "--runtime=cloister", "--cap-add=NET_ADMIN", lab.ImageName, "sh", "-c", "ip addr add 10.9.9.9/32 dev lo && ip addr show lo | grep -c 10.9.9.9").prints(t, "1")
}

func TestDockerHealthAndRestartPolicy(t *testing.T) {
	needDocker(t)
	dockerStart(t, "healthy", "--health-cmd=test -e /proc/uptime", "--health-interval=100ms", lab.ImageName, "sleep", "1000")
	eventually(t, "the container is healthy", func() bool {
		return dk(t, "inspect", "--format={{.State.Health.Status}}", "healthy").out(t) == "healthy"
	})
	dockerStart(t, "again", "--restart=on-failure:2", lab.ImageName, "sh", "-c", "exit 3")
	eventually(t, "the container was restarted twice", func() bool {
		return dk(t, "inspect", "--format={{.RestartCount}} {{.State.Status}}", "again").out(t) == "2 exited"
	})
}

func TestDockerTwentyAtOnce(t *testing.T) {
	needDocker(t)
	var mu sync.Mutex
	seen := map[int]bool{}
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			r := dk(t, "run", "--rm", "--network=none", "--runtime=cloister", "-m", "32m", lab.ImageName, "sh", "-c", "cat /proc/self/uid_map; head -n 1 /proc/meminfo >&2")
			mu.Lock()
			defer mu.Unlock()
			seen[firstID(t, r)] = true
			if !strings.Contains(r.stderr, "32768 kB") {
				t.Errorf("got %v", r)
			}
		})
	}
	wg.Wait()
	if len(seen) < 2 {
		t.Errorf("20 containers, %d ranges of ids", len(seen))
	}
}

func TestDockerOutOfMemory(t *testing.T) {
	needDocker(t)
	r := dk(t, "run", "--rm", "--network=none", "--runtime=cloister", "-m", "16m", "--memory-swap", "16m", lab.ImageName, "sh", "-c", "tail /dev/zero")
	if r.status == 0 {
		t.Errorf("a container of 16 MiB has read an endless line: %v", r)
	}
}

func TestDockerDaemonDown(t *testing.T) {
	needDocker(t)
	dockerStart(t, "survivor", "-m", "64m", lab.ImageName, "sleep", "1000")
	viewsAreBack := func() { // the daemon answers before it has attached them
		t.Helper()
		eventually(t, "the container has its views again", func() bool {
			return dexec(t, "survivor", "head -n 1 /proc/meminfo").stdout == "MemTotal:          65536 kB\n"
		})
	}
	pid := dk(t, "inspect", "-f", "{{.State.Pid}}", "survivor").out(t)
	mustStop(t)
	if r := sh(t, "nsenter", "-t", pid, "-m", "-p", "sh", "-c", "cat /proc/self/comm; cat /proc/meminfo"); !strings.Contains(r.stdout, "cat") || strings.Contains(r.stdout, "MemTotal") {
		t.Errorf("without the daemon a container must run on, and must not show the host's memory: %v", r)
	}
	dexec(t, "survivor", "true").refused(t, "seccomp.sock") // nobody would answer its system calls
	dk(t, "run", "--rm", "--network=none", "--runtime=cloister", lab.ImageName, "true").refused(t, "no answer from the cloister daemon")
	mustStart(t)
	viewsAreBack()

	kill(t)
	dk(t, "run", "--rm", "--network=none", "--runtime=cloister", lab.ImageName, "true").refused(t, "no answer from the cloister daemon")
	mustStart(t)
	viewsAreBack()
	dk(t, "run", "--rm", "--network=none", "--runtime=cloister", lab.ImageName, "true").ok(t)
}

// A worker that is killed is replaced before anybody notices.
func TestDockerWorkerKilled(t *testing.T) {
	needDocker(t)
	dockerStart(t, "survivor", "-m", "64m", lab.ImageName, "sleep", "1000")
	for range 3 {
		if err := worker(t).Kill(); err != nil {
			t.Fatal(err)
		}
		dexec(t, "survivor", "head -n 1 /proc/meminfo").prints(t, "MemTotal:          65536 kB")
		dk(t, "run", "--rm", "--network=none", "--runtime=cloister", lab.ImageName, "true").ok(t)
	}
}

func check(t *testing.T, path, want string) {
	t.Helper()
	if text, err := os.ReadFile(path); err != nil || string(text) != want {
		t.Errorf("%s: got %q, %v, want %q", path, text, err, want)
	}
}

func write1(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
