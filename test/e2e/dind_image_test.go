//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"cloister/test/lab"
)

// innerImage is an image with engines in it, made of Debian's packages.
type innerImage struct {
	suite    string
	packages []string

	once   sync.Once
	err    error
	mounts []string // the flags for what is mounted and not in the image, which is faster to load so
}

// The oldest engines that are looked after, and the newest.
var innerImages = []*innerImage{
	{suite: "bookworm", packages: []string{"docker.io", "podman", "buildah", "crun", "systemd-sysv"}},
	{suite: "sid", packages: []string{"base-files", "docker.io", "docker-cli", "podman", "buildah", "crun", "systemd-sysv"}},
}

// innerCommon are what the engines and the tests call besides.
var innerCommon = []string{"dash", "coreutils", "grep", "tar", "sed", "mawk", "procps", "iptables", "iproute2", "kmod", "libkmod2", "ca-certificates"}

func (i *innerImage) name() string { return "localhost/inner-" + i.suite + ":1" }

// need loads the image into the tests' dockerd.
func (i *innerImage) need(t *testing.T) {
	t.Helper()
	needDocker(t)
	i.once.Do(func() { i.err = i.make(t) })
	orSkip(t, i.err)
}

func (i *innerImage) make(t *testing.T) error {
	source, err := unpacked(t, i.suite, slices.Concat(i.packages, innerCommon)...)
	if err != nil {
		return err
	}
	dir := filepath.Join(world.Dir, "inner-"+i.suite)
	if err := errors.Join(copyCached(t, source, dir), finishTools(dir), finishInner(dir)); err != nil {
		return err
	}
	exclude := ""
	for _, name := range []string{"bin", "lib", "lib64", "sbin", "usr"} {
		if st, err := os.Lstat(filepath.Join(dir, name)); err == nil && st.IsDir() {
			exclude += " --exclude=./" + name
			i.mounts = append(i.mounts, fmt.Sprintf("-v=%s:/%s:ro", filepath.Join(dir, name), name))
		}
	}
	load := fmt.Sprintf("tar -C %s%s -c . | %s import - %s", dir, exclude, lab.DockerClient(), i.name())
	if r := sh(t, "sh", "-c", load); r.status != 0 {
		return errors.New(r.String())
	}
	return nil
}

// finishInner does what else the packages' scripts would have done.
func finishInner(dir string) error {
	var errs []error
	for _, name := range []string{"root", "run", "var/tmp", "var/log", "small", "etc/containers"} {
		errs = append(errs, os.MkdirAll(filepath.Join(dir, name), 0o755))
	}
	for name, target := range map[string]string{
		"usr/sbin/iptables": "xtables-nft-multi", "usr/sbin/ip6tables": "xtables-nft-multi", "bin/sh": "dash", "usr/bin/awk": "mawk",
	} {
		path := filepath.Join(dir, name)
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
		errs = append(errs, os.Symlink(target, path))
	}
	for name, text := range map[string]string{
		"etc/containers/policy.json": `{"default":[{"type":"insecureAcceptAnything"}]}`,
		"etc/os-release":             "ID=debian\n",
		"etc/hostname":               "inner\n",
		"etc/group":                  "root:x:0:\ndocker:x:999:\n",
		"etc/machine-id":             strings.Repeat("c", 32) + "\n", // nothing is enabled at a first boot
	} {
		path := filepath.Join(dir, name)
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) { // it may be a hard link to the cache's
			errs = append(errs, err)
		}
		errs = append(errs, os.WriteFile(path, []byte(text), 0o644))
	}
	return errors.Join(errs...)
}

// outer is a container with engines in it.
type outer struct {
	t    *testing.T
	name string
}

// start starts one that has the image of the tests in /small, and runs a program in it.
func (i *innerImage) start(t *testing.T, name string, flags []string, program ...string) outer {
	t.Helper()
	i.need(t)
	args := slices.Concat(flags, i.mounts, []string{"-m=1g", "-v=" + world.Rootfs + ":/small:ro", i.name()}, program)
	dockerStart(t, name, args...)
	return outer{t, name}
}

// privileged starts one that waits to be used.
func (i *innerImage) privileged(t *testing.T, name string) outer {
	t.Helper()
	return i.start(t, name, []string{"--privileged"}, "sleep", "1000")
}

// sh runs a script in it.
func (o outer) sh(script string) result {
	o.t.Helper()
	return dexec(o.t, o.name, script)
}

// dockerd starts an engine in it and gives that the image.
func (o outer) dockerd() {
	o.t.Helper()
	dk(o.t, "exec", "-d", o.name, "sh", "-c", "exec dockerd >/var/log/dockerd 2>&1").ok(o.t)
	eventually(o.t, "the inner dockerd answers", func() bool { return o.sh("docker version").status == 0 })
	o.sh("tar -C /small -c . | docker import - small").ok(o.t)
}

// printsAll runs scripts, each of which must print a text.
func (o outer) printsAll(want map[string]string) {
	o.t.Helper()
	for script, text := range want {
		if r := o.sh(script); r.status != 0 || strings.TrimSpace(r.stdout) != text {
			o.t.Errorf("got %v, want %q", r, text)
		}
	}
}
