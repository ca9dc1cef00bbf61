//go:build hostile

package hostile

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/moby/sys/capability"
	"github.com/opencontainers/runtime-spec/specs-go"

	"cloister/internal/bundle"
	"cloister/test/lab"
)

// commandTimeout is for a hang, in the longest tests as well.
const commandTimeout = 15 * time.Minute

// memoryLimit is that of every container, which its views must show.
const (
	memoryLimit = "256m"
	memoryKiB   = "262144"
)

// kind is what a container is allowed.
type kind string

const (
	stock      kind = "stock"      // as docker run does it
	unconfined kind = "unconfined" // without a seccomp profile
	admin      kind = "SYS_ADMIN"  // with that capability
	privileged kind = "privileged"
	readOnly   kind = "read-only" // privileged, with a root that is read-only
)

// kinds are docker's arguments for them.
var kinds = map[kind][]string{
	stock:      nil,
	unconfined: {"--security-opt=seccomp=unconfined"},
	admin:      {"--cap-add=SYS_ADMIN"},
	privileged: {"--privileged"},
	readOnly:   {"--privileged", "--read-only", "--tmpfs=/tmp"},
}

// volumes are what the containers have beside their root: by place, and whether read-only.
var volumes = map[string]bool{"/ro": true, "/rw": false, "/gone1": false, "/gone2": false}

func volumeDir(place string) string { return filepath.Join(world.Dir, "volumes", place) }

func makeVolumes() error {
	var errs []error
	for place := range volumes {
		errs = append(errs, os.MkdirAll(volumeDir(place), 0o755))
	}
	return errors.Join(errs...)
}

// engine starts containers that run the probe.
type engine interface {
	String() string
	// command makes the command that runs a container until the probe ends.
	command(ctx context.Context, t *testing.T, k kind, args ...string) *exec.Cmd
}

// probe runs the probe in a new container and returns what it prints.
func probe(t *testing.T, e engine, k kind, stdin io.Reader, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), commandTimeout)
	defer cancel()
	cmd := e.command(ctx, t, k, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v, a %s container: %v\n%s%s", e, k, err, stdout.String(), stderr.String())
	}
	return stdout.String()
}

// docker runs containers with docker run and one of its runtimes.
type docker struct{ runtime string }

func (d docker) String() string { return "docker, " + d.runtime }

func (d docker) command(ctx context.Context, t *testing.T, k kind, args ...string) *exec.Cmd {
	t.Helper()
	run := append([]string{"run", "-i", "--rm", "--network=none", "--runtime=" + d.runtime, "--memory=" + memoryLimit}, kinds[k]...)
	for place, ro := range volumes {
		v := "--volume=" + volumeDir(place) + ":" + place
		if ro {
			v += ":ro"
		}
		run = append(run, v)
	}
	return world.Command(ctx, lab.DockerClient(), append(append(run, lab.ImageName, probeName), args...)...)
}

func needDocker(t *testing.T) {
	t.Helper()
	need(t, "dockerd", lab.DockerClient())
	if err := world.Docker.Start(); err != nil {
		t.Fatal(err)
	}
}

// need skips a test for lack of a program. Where the suite is told to be strict, a
// program that can be installed must not be missing.
func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err == nil {
			continue
		}
		if os.Getenv("CLOISTER_TEST_STRICT") != "" {
			t.Fatalf("%s is not installed", p)
		}
		t.Skipf("%s is not installed", p)
	}
}

// bundles runs containers with cloister-runtime, as an engine does, and a low-level
// runtime.
type bundles struct {
	name    string
	path    string
	sandbox *lab.Sandbox
}

func (b bundles) String() string { return b.name }

var bundleCount atomic.Int32

func (b bundles) command(ctx context.Context, t *testing.T, k kind, args ...string) *exec.Cmd {
	t.Helper()
	spec, dir := newBundle(t, k, args)
	writeConfig(t, spec, dir)
	id := filepath.Base(dir)
	t.Cleanup(func() { // what a failed test has left
		_ = b.runtime(context.Background(), "delete", "--force", id).Run()
	})
	return b.runtime(ctx, "run", "--bundle", dir, id)
}

func (b bundles) runtime(ctx context.Context, args ...string) *exec.Cmd {
	root := filepath.Join(world.Dir, "state-"+strings.ReplaceAll(b.name, " ", "-"))
	return world.CommandIn(ctx, b.sandbox, world.Wrapper, append([]string{"--runtime-path", b.path, "--root", root}, args...)...)
}

// plain runs containers with runc alone, which have the host's ids.
type plain struct{}

func (plain) String() string { return "runc alone" }

func (plain) command(ctx context.Context, t *testing.T, k kind, args ...string) *exec.Cmd {
	t.Helper()
	spec, dir := newBundle(t, k, args)
	if k == privileged { // as docker does it on a host with cgroup v1
		spec.Linux.Namespaces = slices.DeleteFunc(spec.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == specs.CgroupNamespace })
		own := ownCapabilities(t)
		spec.Process.Capabilities = &specs.LinuxCapabilities{Bounding: own, Effective: own, Permitted: own}
		spec.Linux.Resources.Devices = append(spec.Linux.Resources.Devices, specs.LinuxDeviceCgroup{Allow: true, Access: "rwm"})
	}
	writeConfig(t, spec, dir)
	return world.Command(ctx, "runc", "--root", filepath.Join(world.Dir, "state-plain"), "run", "--bundle", dir, filepath.Base(dir))
}

// ownCapabilities are those that a child of this process can have.
func ownCapabilities(t *testing.T) (names []string) {
	t.Helper()
	own, err := capability.NewPid2(0)
	if err == nil {
		err = own.Load()
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range capability.ListKnown() {
		if own.Get(capability.BOUNDING, c) {
			names = append(names, "CAP_"+strings.ToUpper(c.String()))
		}
	}
	return names
}

func writeConfig(t *testing.T, spec *specs.Spec, dir string) {
	t.Helper()
	data, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// newBundle makes a bundle with a root of its own that runs the probe.
func newBundle(t *testing.T, k kind, args []string) (*specs.Spec, string) {
	t.Helper()
	id := fmt.Sprintf("h%d", bundleCount.Add(1))
	dir := filepath.Join(world.Dir, id)
	rootfs := filepath.Join(dir, "rootfs")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	// The programs are shared, everything else is the bundle's own.
	script := fmt.Sprintf("mkdir %[2]s && cp -a %[1]s/[!b]* %[2]s && cp -al %[1]s/bin %[2]s", world.Rootfs, rootfs)
	if out, err := exec.Command("sh", "-c", script).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	opts := &bundle.Options{
		Name: bundle.Name(id), Command: append([]string{"/bin/" + probeName}, args...), Rootfs: rootfs,
		Privileged: k == privileged || k == readOnly,
	}
	if err := opts.Limits.Memory.UnmarshalText([]byte(memoryLimit)); err != nil {
		t.Fatal(err)
	}
	for place, ro := range volumes {
		opts.Volumes = append(opts.Volumes, bundle.Volume{Source: volumeDir(place), Target: place, ReadOnly: ro})
	}
	spec := bundle.Spec(opts)
	spec.Linux.CgroupsPath = world.CgroupParent() + "/" + id
	if k == admin {
		c := spec.Process.Capabilities
		for _, set := range []*[]string{&c.Bounding, &c.Effective, &c.Permitted} {
			*set = append(*set, "CAP_SYS_ADMIN")
		}
	}
	if k == readOnly {
		spec.Root.Readonly = true
		spec.Mounts = append(spec.Mounts, specs.Mount{Destination: "/tmp", Type: "tmpfs", Source: "tmpfs"})
	}
	return spec, dir
}
