package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"

	"cloister/bench/stand"
	"cloister/internal/sys"
)

// startLXCFS starts lxcfs at dir, with all that it can show.
func startLXCFS(ctx context.Context, s *stand.Stand, dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	_, err := os.Lstat(lxcfsRun)
	made := errors.Is(err, os.ErrNotExist)
	cmd := exec.Command("lxcfs", "--foreground", "--enable-loadavg", "--enable-cfs", "--pidfile="+dir+".pid", dir)
	c, err := s.Start("lxcfs-server", cmd)
	if err != nil {
		return err
	}
	c.Stop = func() error { return cmd.Process.Kill() } // asked to end, it takes 5 seconds
	c.Clear = func() error {
		_ = sys.Detach(dir) // unless it has failed before
		if made {
			return removeRun()
		}
		return nil
	}
	return s.Ready(ctx, c, func() error {
		_, err := os.Stat(filepath.Join(dir, "proc/meminfo"))
		return err
	})
}

// lxcfsRun is where lxcfs mounts the cgroup hierarchies, in a mount namespace of its own;
// the path is built in.
const lxcfsRun = "/run/lxcfs"

// removeRun removes the empty directories that lxcfs leaves there.
func removeRun() error {
	var errs []error
	for _, dir := range []string{"controllers", "root", ""} {
		if err := os.Remove(filepath.Join(lxcfsRun, dir)); !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
