package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
)

// install installs packages with apt whose program is missing.
func install(ctx context.Context, packages map[string]string) error {
	for program, pkg := range packages {
		if _, err := exec.LookPath(program); err == nil {
			continue
		}
		fmt.Fprintln(os.Stderr, "installing", pkg)
		for _, args := range [][]string{{"update", "-q"}, {"install", "-qy", "--no-install-recommends", pkg}} {
			cmd := exec.CommandContext(ctx, "apt-get", args...)
			cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
			if out, err := cmd.CombinedOutput(); err != nil {
				return fmt.Errorf("install %s, which the benchmark compares with or needs: %w\n%s", pkg, err, out)
			}
		}
	}
	return nil
}
