//go:build hostile

package hostile

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"cloister/test/lab"
)

// scene is an attack that takes more than one container's own calls: command lines,
// volumes, images. Try makes it with one of docker's runtimes and answers in a word.
type scene struct {
	id, what, command string
	try               func(t *testing.T, runtime string) string
	want              string
}

const (
	refusal = "refused"
	started = "allowed"
	nothing = "nothing to see"
	escape  = "reads the host's file"
)

var scenes = []scene{
	{"T1", "CVE-2019-5736: the runtime is overwritten through /proc/self/exe", "--entrypoint=/proc/self/exe … --version", overwrite, "unchanged"},
	{"T7", "CVE-2024-21626: the working directory is a leaked descriptor", "-w /proc/self/fd/N …, N from 3 to 10", leakedDirectory, refusal},
	{"T7", "the same with exec", "docker exec -w /proc/self/fd/N …", leakedDirectoryExec, refusal},
	{"T8", "CVE-2025-31133: /dev/null of the container is a symlink into proc", "-v d:/dev …, d/null -> /proc/sys/kernel/core_pattern; cat /proc/keys", maskSource, refusal},
	{"T10", "CVE-2025-52881: what the runtime writes to proc is led elsewhere", "--sysctl=net.ipv4.ip_forward=1 -v d:/proc/sys/net …", sysctlElsewhere, refusal},
	{"T11", "CVE-2026-41579: /dev of the image is a symlink", "/dev -> /proc/sys", func(t *testing.T, runtime string) string { return imageLink(t, runtime, "dev", "/proc/sys") }, refusal},
	{"T12", "CVE-2019-19921: /proc of the image is a symlink", "/proc -> /tmp", func(t *testing.T, runtime string) string { return imageLink(t, runtime, "proc", "/tmp") }, refusal},
	{"T21", "a key for all who are root", "add_key in one container, keyctl_search in another", keyring, "ENOKEY"},
	{"T22", "the engine's socket", "-v docker.sock:/s", func(t *testing.T, r string) string { return mounted(t, r, "--volume="+world.Docker.Socket()+":/s") }, refusal},
	{"T22", "the same by --mount", "--mount=type=bind,src=docker.sock,dst=/s", func(t *testing.T, r string) string {
		return mounted(t, r, "--mount=type=bind,src="+world.Docker.Socket()+",dst=/s")
	}, refusal},
	{"T22", "the same through its directory", "-v DIR:/s", func(t *testing.T, r string) string {
		return mounted(t, r, "--volume="+filepath.Dir(world.Docker.Socket())+":/s")
	}, refusal},
	{"T22", "the same through a symlink", "-v LINK:/s", socketLink, refusal},
	{"T22", "the same through a hard link", "-v OTHER:/s", socketHardLink, refusal},
	{"T22", "another engine's socket", "-v containerd.sock:/s", otherSocket, refusal},
	{"T24", "a volume that is a directory of the host's", "docker volume create -o o=bind -o device=/etc; -v VOLUME:/mnt", volumeOfHost, refusal},
	{"T26", "no daemon is there", "the daemon's directory is another one", withoutDaemon, refusal},
}

// TestScenes: what takes more than a container's own calls.
func TestScenes(t *testing.T) {
	needDocker(t)
	hostWords(t) // makes the marker
	for _, s := range scenes {
		t.Run(s.id+" "+s.what, func(t *testing.T) {
			got := s.try(t, "cloister")
			if !matches(got, s.want) {
				t.Errorf("got %q, want %q", got, s.want)
			}
			report.ours(s.id, s.what, s.command, got)
			report.plain(s.id, s.what, s.try(t, "runc"))
		})
	}
}

// run calls docker run and returns what it prints, and whether it succeeded.
func run(t *testing.T, runtime string, args ...string) (string, bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), commandTimeout)
	defer cancel()
	cmd := world.Command(ctx, lab.DockerClient(), append([]string{"run", "--rm", "--network=none", "--runtime=" + runtime}, args...)...)
	out, err := cmd.CombinedOutput()
	return string(out), err == nil
}

// mounted tells whether a container with a volume starts.
func mounted(t *testing.T, runtime, volume string) string {
	t.Helper()
	if _, ok := run(t, runtime, volume, lab.ImageName, "true"); ok {
		return started
	}
	return refusal
}

func overwrite(t *testing.T, runtime string) string {
	low, err := exec.LookPath("runc")
	if err != nil {
		t.Fatal(err)
	}
	files := []string{low, world.Cloister}
	before := sums(t, files)
	run(t, runtime, "--entrypoint=/proc/self/exe", lab.ImageName, "--version")
	if sums(t, files) != before {
		return "overwritten"
	}
	return "unchanged"
}

func sums(t *testing.T, files []string) (text string) {
	t.Helper()
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		text += fmt.Sprintf("%x ", sha256.Sum256(data))
	}
	return text
}

// up leads from a directory of the host's, whichever it is, to the marker.
func up() string { return strings.Repeat("../", 12) + strings.TrimPrefix(marker(), "/") }

func leakedDirectory(t *testing.T, runtime string) string {
	for n := 3; n <= 10; n++ {
		if out, _ := run(t, runtime, "-w", fmt.Sprintf("/proc/self/fd/%d", n), lab.ImageName, "cat", up()); strings.Contains(out, markerText) {
			return escape
		}
	}
	return refusal
}

func leakedDirectoryExec(t *testing.T, runtime string) string {
	name := "leak-" + runtime
	dockerOK(t, "run", "-d", "--name", name, "--network=none", "--runtime="+runtime, lab.ImageName, "sleep", "1000")
	defer dockerOK(t, "rm", "-f", name)
	for n := 3; n <= 10; n++ {
		out, _ := world.Command(t.Context(), lab.DockerClient(), "exec", "-w", fmt.Sprintf("/proc/self/fd/%d", n), name, "cat", up()).CombinedOutput()
		if strings.Contains(string(out), markerText) {
			return escape
		}
	}
	return refusal
}

func maskSource(t *testing.T, runtime string) string {
	dir := t.TempDir()
	if err := os.Symlink("/proc/sys/kernel/core_pattern", filepath.Join(dir, "null")); err != nil {
		t.Fatal(err)
	}
	host, err := os.ReadFile("/proc/sys/kernel/core_pattern")
	if err != nil {
		t.Fatal(err)
	}
	out, ok := run(t, runtime, "--volume="+dir+":/dev", lab.ImageName, "cat", "/proc/keys")
	switch {
	case !ok:
		return refusal
	case out == string(host):
		return "shows core_pattern"
	}
	return nothing
}

func sysctlElsewhere(t *testing.T, runtime string) string {
	if _, ok := run(t, runtime, "--sysctl=net.ipv4.ip_forward=1", "--volume="+t.TempDir()+":/proc/sys/net", lab.ImageName, "true"); ok {
		return started
	}
	return refusal
}

// among is what runs bundles with cloister, or with runc alone.
func among(runtime string) engine {
	if runtime == "runc" {
		return plain{}
	}
	return bundles{"runc", "runc", world.Sandbox}
}

// imageLink starts a bundle in whose root a directory is a symlink.
func imageLink(t *testing.T, runtime, name, target string) string {
	cmd := among(runtime).command(t.Context(), t, stock, "row", "stat /")
	link := filepath.Join(world.Dir, cmd.Args[len(cmd.Args)-1], "rootfs", name)
	if err := errors.Join(os.RemoveAll(link), os.Symlink(target, link)); err != nil {
		t.Fatal(err)
	}
	if cmd.Run() == nil {
		return started
	}
	return refusal
}

// keyring leaves a key in one container and looks for it in another.
func keyring(t *testing.T, runtime string) string {
	key := "hostile-" + runtime
	answer := func(steps string) string {
		return ask(t, among(runtime), privileged, []row{{steps: steps}})[0]
	}
	if got := answer("addkey " + key); got != "ok" {
		t.Fatalf("a key can't be made: %s", got)
	}
	found := answer("findkey " + key)
	if found == "ok" {
		answer("rmkey " + key)
		return "found"
	}
	return found
}

func socketLink(t *testing.T, runtime string) string {
	link := filepath.Join(t.TempDir(), "s")
	if err := os.Symlink(world.Docker.Socket(), link); err != nil {
		t.Fatal(err)
	}
	return mounted(t, runtime, "--volume="+link+":/s")
}

func socketHardLink(t *testing.T, runtime string) string {
	link := filepath.Join(world.Dir, "hard-"+runtime)
	if err := os.Link(world.Docker.Socket(), link); err != nil {
		t.Fatal(err)
	}
	return mounted(t, runtime, "--volume="+link+":/s")
}

func otherSocket(t *testing.T, runtime string) string {
	path := filepath.Join(world.Dir, runtime, "containerd.sock")
	if err := os.Mkdir(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return mounted(t, runtime, "--volume="+path+":/s")
}

func volumeOfHost(t *testing.T, runtime string) string {
	name := "etc-" + runtime
	dockerOK(t, "volume", "create", "-o", "type=none", "-o", "o=bind", "-o", "device=/etc", name)
	defer dockerOK(t, "volume", "rm", "-f", name)
	return mounted(t, runtime, "--volume="+name+":/mnt")
}

// withoutDaemon starts a bundle while nobody answers. A plain runtime asks nobody.
func withoutDaemon(t *testing.T, runtime string) string {
	cmd := among(runtime).command(t.Context(), t, stock, "row", "stat /")
	cmd.Env = append(cmd.Env, "CLOISTER_RUN_DIR="+t.TempDir())
	if cmd.Run() == nil {
		return started
	}
	return refusal
}
