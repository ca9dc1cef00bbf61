//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// options are what a container is started with, in terms of the docker command.
type options struct {
	memory     string // --memory
	cpus       string // --cpus
	cpuset     string // --cpuset-cpus
	privileged bool
	volumes    []string // SOURCE:TARGET[:ro]
	host       string   // a namespace of the host: pid, ipc, uts or network
	user       string
	readOnly   bool
}

// engine starts containers.
type engine interface {
	// run runs a shell script in a new container and removes it.
	run(t *testing.T, o options, script string) result
}

// testCore is what holds for every engine.
func testCore(t *testing.T, e engine) {
	for _, c := range coreTests {
		t.Run(c.name, func(t *testing.T) {
			c.test(t, e)
			settled(t)
		})
	}
}

var coreTests = []struct {
	name string
	test func(*testing.T, engine)
}{
	{"UserNamespace", testUserNamespace},
	{"TwoContainersHaveDisjointIDs", testDisjointIDs},
	{"Limits", testLimits},
	{"HalfACPU", testHalfACPU},
	{"FilesBelongToTheContainersRoot", testOwnership},
	{"WritesLikeAPackageManager", testWrites},
	{"HostNamespacesAreRefused", testHostNamespaces},
	{"RestrictedHostPathsAreRefused", testRestrictedPaths},
	{"EngineSocketsAreRefused", testSockets},
	{"VolumesKeepTheirOwnersOnDisk", testVolumes},
	{"ReadOnlyVolumesStayReadOnly", testReadOnlyVolume},
	{"PrivilegedIsConfined", testPrivileged},
	{"AUserOfTheImage", testUser},
	{"ReadOnlyRoot", testReadOnlyRoot},
	{"TooManyIDs", testTooManyIDs},
	{"ExitStatus", testExitStatus},
	{"SystemCalls", testSyscalls},
	{"HiddenSockets", testHiddenSockets},
}

var uidMap = regexp.MustCompile(`^ +0 +(\d+) +65536$`)

// firstID returns the host id of the container's root, from its uid_map.
func firstID(t *testing.T, r result) int {
	t.Helper()
	f := uidMap.FindStringSubmatch(strings.TrimRight(r.ok(t).stdout, "\n"))
	if f == nil {
		t.Fatalf("no mapping of 65536 ids: %v", r)
	}
	n, err := strconv.Atoi(f[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func testUserNamespace(t *testing.T, e engine) {
	uid := firstID(t, e.run(t, options{}, "cat /proc/self/uid_map"))
	gid := firstID(t, e.run(t, options{}, "cat /proc/self/gid_map"))
	if uid != gid || uid < 100000 {
		t.Errorf("user ids begin at %d and group ids at %d, want one and the same, 100000 or more", uid, gid)
	}
	for _, kind := range []string{"user", "pid", "mnt", "net", "ipc", "uts", "cgroup"} {
		host, err := os.Readlink("/proc/self/ns/" + kind)
		if err != nil {
			t.Fatal(err)
		}
		if got := e.run(t, options{}, "readlink /proc/self/ns/"+kind).out(t); got == host || !strings.HasPrefix(got, kind) {
			t.Errorf("%s namespace: got %s, the host's is %s", kind, got, host)
		}
	}
}

func testDisjointIDs(t *testing.T, e engine) {
	// Both containers wait for the other's sign.
	dir := t.TempDir()
	script := func(me, other string) string {
		return fmt.Sprintf("touch /signs/%s; until [ -e /signs/%s ]; do :; done; cat /proc/self/uid_map; touch /signs/%[1]s.done; until [ -e /signs/%[2]s.done ]; do :; done", me, other)
	}
	var wg sync.WaitGroup
	results := make([]result, 2)
	for i, names := range [][2]string{{"a", "b"}, {"b", "a"}} {
		wg.Go(func() { results[i] = e.run(t, options{volumes: []string{dir + ":/signs"}}, script(names[0], names[1])) })
	}
	wg.Wait()
	a, b := firstID(t, results[0]), firstID(t, results[1])
	if a == b || a-b < 65536 && b-a < 65536 {
		t.Errorf("ids of two containers begin at %d and %d", a, b)
	}
}

func testLimits(t *testing.T, e engine) {
	r := e.run(t, options{memory: "64m", cpuset: "0"}, `
		head -n 1 /proc/meminfo
		grep -c ^processor /proc/cpuinfo
		grep -c '^cpu[0-9]' /proc/stat
		cat /sys/devices/system/cpu/online
		awk '$1 < 60 && $2 < 60 { print "young" }' /proc/uptime
		awk 'NF == 5 { print $1, $2, $3 }' /proc/loadavg
		awk '/^SwapTotal/ { print ($2 <= 65536) }' /proc/meminfo
		head -n 1 /proc/swaps | cut -c 1-8`)
	r.prints(t, "MemTotal:          65536 kB\n1\n1\n0\nyoung\n0.00 0.00 0.00\n1\nFilename")
}

func testHalfACPU(t *testing.T, e engine) {
	e.run(t, options{cpus: "0.5"}, "grep -c ^processor /proc/cpuinfo; cat /sys/devices/system/cpu/online").prints(t, "1\n0")
}

func testOwnership(t *testing.T, e engine) {
	e.run(t, options{}, `
		stat -c %u:%g /bin/busybox /etc/passwd /home /proc/meminfo
		touch /new; stat -c %u:%g /new
		chown 1000:1000 /new; stat -c %u:%g /new
		id -u; whoami`).
		prints(t, "0:0\n0:0\n1000:1000\n0:0\n0:0\n1000:1000\n0\nroot")
}

func testWrites(t *testing.T, e engine) {
	e.run(t, options{}, `set -e
		cat /pkg/layer
		echo changed > /pkg/layer; cat /pkg/layer
		rm /pkg/layer; ! [ -e /pkg/layer ]
		echo again > /pkg/layer; cat /pkg/layer
		ln /pkg/layer /pkg/hard; [ "$(stat -c %h /pkg/hard)" = 2 ]
		mv /pkg /moved; [ -e /moved/layer ]
		rm -r /data; mkdir /data; chmod 4755 /data; stat -c %a /data
		ln -s /moved /pkg; cat /pkg/hard
		echo x > /etc/group.new; mv /etc/group.new /etc/group; cat /etc/group`).
		prints(t, "from the image\nchanged\nagain\n4755\nagain\nx")
}

func testHostNamespaces(t *testing.T, e engine) {
	for host, want := range map[string]string{
		"pid":     "cloister containers can't share namespaces [pid] with the host (because they use the linux user-namespace for isolation)",
		"ipc":     "can't share namespaces [ipc] with the host",
		"uts":     "can't share namespaces [uts] with the host",
		"network": "with the host (because they use the linux user-namespace for isolation)",
	} {
		e.run(t, options{host: host}, "true").refused(t, want)
	}
}

func testRestrictedPaths(t *testing.T, e engine) {
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink("/etc", link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{
		"/", "/etc", "/etc/passwd", "/boot", "/dev", "/proc", "/proc/sys", "/sys", "/root", "/run", "/var/run",
		"/var", "/usr", "/usr/bin", "/bin", "/sbin", "/lib", world.Daemon.RunDir, world.Daemon.StateDir, world.Dir, link,
	} {
		if _, err := os.Stat(path); err != nil {
			continue // the runtime would say so
		}
		r := e.run(t, options{volumes: []string{path + ":/mnt"}}, "ls /mnt")
		if r.status == 0 || !strings.Contains(r.all(), "can't mount "+path+" because it's") {
			t.Errorf("%s: got %v, want a refusal that names it", path, r)
		}
	}
}

func testSockets(t *testing.T, e engine) {
	dir := t.TempDir()
	listen(t, dir, "docker.sock")
	link := filepath.Join(dir, "link")
	if err := os.Symlink(filepath.Join(dir, "docker.sock"), link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(dir, "docker.sock"), link} {
		e.run(t, options{volumes: []string{path + ":/mnt/s"}}, "true").refused(t, "docker socket mount denied")
	}
}

func testVolumes(t *testing.T, e engine) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("host\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	e.run(t, options{volumes: []string{dir + ":/v"}}, `
		stat -c %u:%g /v/file; cat /v/file; echo container >> /v/file
		touch /v/root /v/user; chown 1000:1000 /v/user`).
		prints(t, "0:0\nhost")
	for name, want := range map[string]uint32{"file": 0, "root": 0, "user": 1000} {
		if got := owner(t, filepath.Join(dir, name)); got != want {
			t.Errorf("%s belongs to %d on the host's disk, want %d", name, got, want)
		}
	}
	e.run(t, options{volumes: []string{file + ":/f"}}, "stat -c %u:%g /f; cat /f; echo again > /f").prints(t, "0:0\nhost\ncontainer")
	if text, err := os.ReadFile(file); err != nil || string(text) != "again\n" {
		t.Errorf("the host's file has %q, %v", text, err)
	}
}

func testReadOnlyVolume(t *testing.T, e engine) {
	dir := t.TempDir()
	for _, privileged := range []bool{false, true} {
		r := e.run(t, options{privileged: privileged, volumes: []string{dir + ":/ro:ro"}}, "probe readonly /ro")
		everyAttackRefused(t, r)
	}
	if left := names(t, dir); left != nil {
		t.Errorf("the container has written %v", left)
	}
}

func testPrivileged(t *testing.T, e engine) {
	r := e.run(t, options{privileged: true}, "probe host")
	everyAttackRefused(t, r)
	e.run(t, options{privileged: true}, `
		id -u
		mount -t tmpfs none /mnt && echo mounted
		ip addr add 10.9.9.9/32 dev lo && echo up
		hostname other && hostname
		ls /dev | grep -E '^(sd|vd|loop|mem|kvm|fuse)' | wc -l`[1:]).
		prints(t, "0\nmounted\nup\nother\n0")
}

func testUser(t *testing.T, e engine) {
	e.run(t, options{user: "1000"}, "id -u; touch /tmp/x && stat -c %u:%g /tmp/x; touch /x 2>/dev/null || echo no; cat /proc/self/uid_map | wc -l").
		prints(t, "1000\n1000:1000\nno\n1")
}

func testReadOnlyRoot(t *testing.T, e engine) {
	e.run(t, options{readOnly: true}, "touch /x 2>/dev/null || echo no; head -c 8 /proc/meminfo").prints(t, "no\nMemTotal")
	dir := t.TempDir()
	write1(t, filepath.Join(dir, "file"), "content\n")
	volumes := []string{dir + ":/new/dir", dir + "/file:/also/new/file", dir + ":/new/dir/again"}
	e.run(t, options{readOnly: true, volumes: volumes}, `
		cat /new/dir/file /also/new/file /new/dir/again/file
		touch /new/dir/made && stat -c %u:%g /new /also /new/dir/made
		touch /new/x 2>/dev/null || echo no`).prints(t, "content\ncontent\ncontent\n0:0\n0:0\n0:0\nno")
	everyAttackRefused(t, e.run(t, options{readOnly: true, privileged: true, volumes: volumes}, "mount -t tmpfs none /tmp; probe readonly /"))
}

func testTooManyIDs(t *testing.T, e engine) {
	e.run(t, options{user: "70000"}, "id").refused(t, "70000 is outside the 65536 ids")
}

func testExitStatus(t *testing.T, e engine) {
	if r := e.run(t, options{}, "exit 42"); r.status != 42 {
		t.Errorf("got %v, want status 42", r)
	}
}
