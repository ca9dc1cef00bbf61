//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"cloister/internal/api"
)

// world is what all tests share.
var world struct {
	dir      string // everything is below
	cloister string // the program
	wrapper  string // the same under the name of the runtime
	rootfs   string // a directory with a small system in it
	sandbox  *sandbox
	daemon   *daemon
}

func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == probeName {
		probe(os.Args[1:])
		return
	}
	status, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		status = 1
	}
	os.Exit(status)
}

// run makes the world, runs the tests in it and takes it away, which fails if they
// left anything on the host.
func run(m *testing.M) (status int, err error) {
	if os.Geteuid() != 0 {
		return 0, errors.New("the end-to-end tests need root")
	}
	if world.dir, err = os.MkdirTemp("", "ce2e-"); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, cleanUp()) }()
	if err := os.Chmod(world.dir, 0o755); err != nil {
		return 0, err
	}
	if err := build(); err != nil {
		return 0, err
	}
	if err := makeRootfs(); err != nil {
		return 0, fmt.Errorf("make an image: %w", err)
	}
	if world.sandbox, err = newSandbox(); err != nil {
		return 0, err
	}
	if world.daemon, err = startDaemon(world.dir); err != nil {
		return 0, err
	}
	return m.Run(), nil
}

// build makes the program that is tested, unless CLOISTER_BIN names one.
func build() error {
	bin := filepath.Join(world.dir, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		return err
	}
	world.cloister, world.wrapper = filepath.Join(bin, "cloister"), filepath.Join(bin, "cloister-runtime")
	if given := os.Getenv("CLOISTER_BIN"); given != "" {
		program, err := os.ReadFile(given)
		if err != nil {
			return err
		}
		if err := os.WriteFile(world.cloister, program, 0o755); err != nil {
			return err
		}
	} else {
		cmd := exec.Command("go", "build", "-trimpath", "-o", world.cloister, "cloister/cmd/cloister")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build: %w\n%s", err, out)
		}
	}
	return os.Symlink("cloister", world.wrapper)
}

func cleanUp() error {
	var errs []error
	if docker.stop != nil {
		errs = append(errs, docker.stop())
	}
	if world.daemon != nil {
		errs = append(errs, world.daemon.stop())
	}
	if world.sandbox != nil {
		errs = append(errs, world.sandbox.close())
	}
	errs = append(errs, nothingMounted(world.dir), removeCgroups())
	if errors.Join(errs...) == nil {
		errs = append(errs, os.RemoveAll(world.dir)) // only where nothing is mounted
	}
	return errors.Join(errs...)
}

// daemon is a running cloister daemon.
type daemon struct {
	runDir, stateDir, settings, log string
	client                          *api.Client
	cmd                             *exec.Cmd
}
