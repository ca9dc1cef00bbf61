//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"cloister/test/lab"
	"cloister/test/vm"
)

// toolsImage is what the image with the tools is called in engines: those that
// people use to look at a machine, and programs that adapt to it.
const toolsImage = "localhost/tools:1"

// toolsEnv names a directory with a root file system that has some of the tools. Without
// it one is made of Debian's packages, which are downloaded once into the cache of
// cloister/test/vm.
const toolsEnv = "CLOISTER_TEST_TOOLS"

// toolsSuite is one whose packages bring /bin and /lib themselves.
const toolsSuite = "bookworm"

var toolsPackages = []string{
	"bash", "dash", "coreutils", "grep", "sed", "mawk", "busybox-static", "bsdutils", "libc-bin", "ncurses-base",
	"procps", "htop", "util-linux", "sysstat", "numactl",
	"python3", "python3-psutil", "nodejs", "openjdk-17-jre-headless", "nginx-light",
}

// toolsUnused is much of what no test reads.
var toolsUnused = []string{"usr/share/doc", "usr/share/locale", "usr/share/man", "usr/share/perl"}

// tools is the root file system, made by the first test that needs it, and its
// image, loaded by the first that needs that.
var tools struct {
	made, loaded sync.Once
	dir          string
	err          error
}

// needTools returns the directory of the root file system. Its files may be the
// cache's own: nobody may write to them.
func needTools(t *testing.T) string {
	t.Helper()
	tools.made.Do(func() { tools.dir, tools.err = makeTools(t) })
	orSkip(t, tools.err)
	return tools.dir
}

// orSkip skips a test whose image can't be made on this machine, and fails it for any
// other error.
func orSkip(t *testing.T, err error) {
	t.Helper()
	switch {
	case err == nil:
	case errors.Is(err, vm.ErrMissing) && os.Getenv("CLOISTER_TEST_STRICT") == "":
		t.Skip(err)
	default:
		t.Fatal(err)
	}
}

func makeTools(t *testing.T) (string, error) {
	source, err := unpackedTools(t)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(world.Dir, "tools")
	if err := copyCached(t, source, dir); err != nil {
		return "", err
	}
	return dir, finishTools(dir)
}

// copyCached copies a directory of the cache's, by hard links where the cache is on the
// same file system.
func copyCached(t *testing.T, source, dir string) error {
	script := fmt.Sprintf("cp -al %[1]s %[2]s 2>/dev/null || { rm -rf %[2]s; cp -a %[1]s %[2]s; }", source, dir)
	if out, err := exec.CommandContext(t.Context(), "sh", "-c", script).CombinedOutput(); err != nil {
		return fmt.Errorf("copy %s: %w\n%s", source, err, out)
	}
	return nil
}

func unpackedTools(t *testing.T) (string, error) {
	if dir := os.Getenv(toolsEnv); dir != "" {
		return dir, nil
	}
	return unpacked(t, toolsSuite, toolsPackages...)
}

// unpacked returns a directory of the cache's with Debian's packages in it.
func unpacked(t *testing.T, suite string, packages ...string) (string, error) {
	if runtime.GOARCH != "amd64" {
		return "", fmt.Errorf("an image of Debian's packages for %s %w", runtime.GOARCH, vm.ErrMissing)
	}
	cache, err := vm.OpenCache()
	if err != nil {
		return "", err
	}
	return cache.Packages(t.Context(), suite, packages...)
}

// finishTools does what the packages' scripts would have done and the tests need.
func finishTools(dir string) error {
	for _, name := range toolsUnused {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	for _, name := range []string{"dev", "etc", "proc", "sys", "tmp", "v"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			return err
		}
	}
	for name, text := range map[string]string{
		"etc/passwd": "root:x:0:0:root:/root:/bin/sh\n",
		"etc/group":  "root:x:0:\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// needToolsImage loads the image into the tests' dockerd.
func needToolsImage(t *testing.T) {
	t.Helper()
	needDocker(t)
	dir := needTools(t)
	tools.loaded.Do(func() {
		load := fmt.Sprintf("tar -C %s -c . | %s import - %s", dir, lab.DockerClient(), toolsImage)
		sh(t, "sh", "-c", load).ok(t)
	})
}
