//go:build chaos

package chaos

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"cloister/bench/stand"
)

const (
	// insideEnv tells the test that it has its mount namespace.
	insideEnv = "CLOISTER_CHAOS_INSIDE"
	// readerEnv makes the test's program a reader.
	readerEnv = "CLOISTER_CHAOS_READER"
)

func TestMain(m *testing.M) {
	if seed := os.Getenv(readerEnv); seed != "" {
		os.Exit(readerMain(seed))
	}
	status, err := 1, error(nil)
	if os.Getenv(insideEnv) == "" {
		err = enter()
	} else {
		status = m.Run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
	}
	os.Exit(status)
}

// enter executes the program anew, so that all of its threads are in a mount namespace of
// their own. It returns only if that fails.
func enter() error {
	runtime.LockOSThread()
	if err := stand.Unshare(); err != nil {
		return err
	}
	env := append(os.Environ(), insideEnv+"=1")
	return &os.PathError{Op: "execve", Path: os.Args[0], Err: syscall.Exec("/proc/self/exe", os.Args, env)}
}

// programs are two copies of the program that is tested, to go back and forth between.
type programs [2]string

// build makes them below dir from the one that CLOISTER_BIN names, or from the sources.
func build(dir string) (p programs, err error) {
	built := os.Getenv("CLOISTER_BIN")
	if built == "" {
		built = filepath.Join(dir, "built")
		cmd := exec.Command("go", "build", "-trimpath", "-tags", "chaos", "-o", built, "cloister/cmd/cloister")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return p, fmt.Errorf("build: %w\n%s", err, out)
		}
	}
	for i, name := range []string{"a", "b"} {
		p[i] = filepath.Join(dir, name, "cloister")
		if err := copyProgram(p[i], built); err != nil {
			return p, err
		}
	}
	return p, nil
}

func copyProgram(to, from string) error {
	program, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return errors.Join(
		os.Mkdir(filepath.Dir(to), 0o755),
		os.WriteFile(to, program, 0o755),
		os.Symlink(filepath.Base(to), wrapperOf(to)),
	)
}

// wrapperOf returns the program under the name of the runtime.
func wrapperOf(program string) string { return program + "-runtime" }
