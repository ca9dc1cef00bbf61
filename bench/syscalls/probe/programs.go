package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// program runs one that may fail in parts, as there are files that it can't read.
func program(name string, args ...string) step {
	return func() error {
		var exit *exec.ExitError
		err := exec.Command(name, args...).Run()
		if errors.As(err, &exit) && exit.Exited() {
			return nil
		}
		return err
	}
}

// built counts what has been compiled, as what did not change is not compiled again.
var built int

// compile has Go's toolchain compile and link a small program, with its standard library
// compiled before.
func compile() error {
	const dir = "/tmp/program"
	built++
	source := fmt.Sprintf("package main\n\nfunc main() { println(%d) }\n", built)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, text := range map[string]string{"go.mod": "module program\n", "main.go": source} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	var out strings.Builder
	cmd := exec.Command("/go/bin/go", "build", "-o", "program", ".")
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, &out
	cmd.Env = append(os.Environ(), "GOCACHE=/tmp/cache", "GOPATH=/tmp/path", "GOTOOLCHAIN=local", "CGO_ENABLED=0", "GOFLAGS=")
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("go build: %w: %s", err, out.String())
	}
	return nil
}
