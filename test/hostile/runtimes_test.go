//go:build hostile

package hostile

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"cloister/test/lab"
	"cloister/test/vm"
)

// newest is the suite of Debian that has the newest runtimes.
const newest = "sid"

var newer struct {
	sync.Once
	packages string
	sandbox  *lab.Sandbox
	err      error
}

// newerSandbox returns a sandbox in which that suite's runtimes work, and where they are.
func newerSandbox(t *testing.T) (*lab.Sandbox, string) {
	t.Helper()
	newer.Do(func() {
		cache, err := vm.OpenCache()
		if err == nil {
			newer.packages, err = cache.Packages(t.Context(), newest, "runc", "crun")
		}
		if err == nil {
			newer.sandbox, err = lab.NewSandbox(newer.packages)
		}
		newer.err = err
	})
	if errors.Is(newer.err, vm.ErrMissing) || errors.Is(newer.err, exec.ErrNotFound) {
		t.Skip(newer.err)
	}
	if newer.err != nil {
		t.Fatal(newer.err)
	}
	return newer.sandbox, newer.packages
}

func closeSandboxes() error {
	if newer.sandbox == nil {
		return nil
	}
	return newer.sandbox.Close()
}

// eachEngine runs a test with docker, and with the host's and the newest low-level runtimes.
func eachEngine(t *testing.T, test func(t *testing.T, e engine)) {
	t.Run("docker", func(t *testing.T) {
		needDocker(t)
		test(t, docker{"cloister"})
	})
	for _, name := range []string{"runc", "crun"} {
		t.Run(name, func(t *testing.T) {
			need(t, name)
			test(t, bundles{name, name, world.Sandbox})
		})
	}
	for _, name := range []string{"runc", "crun"} {
		t.Run("newest "+name, func(t *testing.T) {
			sandbox, packages := newerSandbox(t)
			test(t, bundles{"newest " + name, newerRuntime(t, packages, name), sandbox})
		})
	}
}

// newerRuntime returns a program that is one of those runtimes. The daemon, which is
// outside of the sandbox, asks it for its version.
func newerRuntime(t *testing.T, packages, name string) string {
	t.Helper()
	program := filepath.Join(packages, "usr/bin", name)
	libraries := filepath.Join(packages, "usr/lib/x86_64-linux-gnu")
	script := fmt.Sprintf("#!/bin/sh\n[ \"$1\" != --version ] || exec %[1]s/ld-linux-x86-64.so.2 --library-path %[1]s %[2]s \"$@\"\nexec %[2]s \"$@\"\n", libraries, program)
	path := filepath.Join(world.Dir, "newest-"+name)
	if err := os.WriteFile(path, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}
