//go:build vm

package vm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// guests are the hosts that cloister is tested on. They have cgroup v2 alone.
var guests = []struct {
	name     string // of the kernel
	kernel   string // suite of the kernel
	runtimes string // suite of runc and crun
	// What status says that this host can do besides what is needed.
	features map[string]string
	// Whether the end-to-end tests and containers that attack are run, which takes minutes.
	endToEnd bool
}{
	{
		name: "6.1", kernel: "bookworm", runtimes: "bookworm", endToEnd: true,
		features: map[string]string{"idMappedTmpfs": "no", "timeNamespaces": "yes", "timeNamespaceInRuntime": "no"},
	},
	{
		name: "6.12", kernel: "trixie", runtimes: "sid", endToEnd: true,
		features: map[string]string{"idMappedTmpfs": "yes", "timeNamespaces": "yes", "timeNamespaceInRuntime": "yes"},
	},
	{
		name: "newest", kernel: "sid", runtimes: "sid",
		features: map[string]string{"idMappedTmpfs": "yes", "timeNamespaces": "yes", "timeNamespaceInRuntime": "yes"},
	},
}

const (
	bootTimeout   = 2 * time.Minute
	scriptTimeout = time.Minute
	e2eTimeout    = 15 * time.Minute
)

// acceleratorEnv is qemu's -accel, for hosts where "kvm" is known to work.
const acceleratorEnv = "CLOISTER_VM_ACCEL"

func TestGuests(t *testing.T) {
	cache, err := OpenCache()
	if err != nil {
		t.Fatal(err)
	}
	programs := append(buildCloister(t), buildE2E(t)...)
	programs = append(programs, buildTools(t, cache), buildSealed(t))
	for _, row := range guests {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel() // a guest keeps one of the host's CPUs busy
			kernel, err := cache.Kernel(t.Context(), row.kernel)
			need(t, err)
			t.Logf("kernel %s", kernel.Release)
			busybox, err := cache.Busybox(t.Context())
			need(t, err)
			packages, err := cache.Packages(t.Context(), row.runtimes, "runc", "crun")
			need(t, err)
			g := bootGuest(t, &Guest{
				Kernel: kernel, Busybox: busybox, Modules: []string{"fuse", "overlay"}, Swap: 128 * mebibyte,
				Files: slices.Concat(programs, []File{
					{Path: "/usr/sbin/runc", Source: filepath.Join(packages, "usr/sbin/runc"), Sysroot: packages, Mode: 0o755},
					{Path: "/usr/bin/crun", Source: filepath.Join(packages, "usr/bin/crun"), Sysroot: packages, Mode: 0o755},
					bundle("limited", kinds...),
					bundle("hostpid", kinds[1:]...),
					bundle("ahead", slices.Concat(kinds, []string{"time"})...),
				}),
			})
			t.Run("sealed mounts", func(t *testing.T) { g.run(t, "mkdir -p /var/tmp && "+sealedPath) })
			t.Run("smoke", func(t *testing.T) { smoke(t, g, row.features) })
			if row.endToEnd {
				t.Run("e2e", func(t *testing.T) { endToEnd(t, g) })
				t.Run("hostile", func(t *testing.T) { hostile(t, g) })
			}
		})
	}
}

// sealedPath is where the guest has the tests of what the kernel guards.
const sealedPath = "/usr/lib/cloister/sealed.test"

func buildSealed(t *testing.T) File {
	t.Helper()
	tests := filepath.Join(t.TempDir(), "sealed.test")
	goTool(t, "test", "-c", "-tags", "root", "-o", tests, "cloister/internal/sealed")
	return File{Path: sealedPath, Source: tests, Mode: 0o755}
}

// buildCloister returns the program for the guests.
func buildCloister(t *testing.T) []File {
	t.Helper()
	cloister := os.Getenv("CLOISTER_BIN")
	if cloister == "" {
		cloister = filepath.Join(t.TempDir(), "cloister")
		goTool(t, "build", "-o", cloister, "cloister/cmd/cloister")
	}
	return []File{
		{Path: "/usr/bin/cloister", Source: cloister, Mode: 0o755},
		{Path: "/usr/bin/cloister-runtime", Link: "cloister"},
	}
}

func goTool(t *testing.T, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// need stops the test if there is an error: as skipped if it is that a program is
// not installed, unless the environment says that everything must be.
func need(t *testing.T, err error) {
	t.Helper()
	switch {
	case err == nil:
	case errors.Is(err, ErrMissing) && os.Getenv("CLOISTER_TEST_STRICT") == "":
		t.Skip(err)
	default:
		t.Fatal(err)
	}
}

// guest is a machine whose failures are the test's.
type guest struct{ *Machine }

func bootGuest(t *testing.T, g *Guest) *guest {
	t.Helper()
	g.Accelerator = os.Getenv(acceleratorEnv)
	// The machine outlives t.Context, so that cleaning up can use it.
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(t.Context()))
	timeout := time.AfterFunc(bootTimeout, func() { cancel(fmt.Errorf("not started after %v", bootTimeout)) })
	m, err := g.Boot(ctx, t.TempDir())
	timeout.Stop()
	need(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the guest's console:\n%s", m.Console())
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
		cancel(nil)
	})
	return &guest{m}
}

// try runs a script and returns what it prints and its exit status.
func (g *guest) try(t *testing.T, script string) (output string, status int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), scriptTimeout)
	defer cancel()
	var out strings.Builder
	status, err := g.Run(ctx, &out, script)
	if err != nil {
		t.Fatalf("%s\n%s%v", script, out.String(), err)
	}
	return out.String(), status
}

// run runs a script that must not fail and returns what it prints.
func (g *guest) run(t *testing.T, script string) string {
	t.Helper()
	out, status := g.try(t, script)
	if status != 0 {
		t.Fatalf("%s\nexit status %d\n%s", script, status, out)
	}
	return out
}

// until runs a script until it succeeds, and returns what it then prints.
func (g *guest) until(t *testing.T, script string) string {
	t.Helper()
	end := time.Now().Add(scriptTimeout)
	for {
		out, status := g.try(t, script)
		if status == 0 {
			return out
		}
		if time.Now().After(end) {
			t.Fatalf("%s\nstill exit status %d after %v\n%s", script, status, scriptTimeout, out)
		}
	}
}
