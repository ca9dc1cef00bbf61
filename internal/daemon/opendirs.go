package daemon

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"cloister/internal/api"
	"cloister/internal/sys"
)

// openDirs makes the directories and makes sure that they are ours alone.
func (d *Daemon) openDirs() (err error) {
	for dir, mode := range map[string]os.FileMode{
		// Containers' roots are below the run directory, so their users have to
		// be able to pass it.
		d.RunDir: 0o711, containersDir(d.RunDir): 0o711, d.StateDir: 0o700,
		api.BundlesDir(d.StateDir): 0o700, api.VolumesDir(d.StateDir): 0o700,
	} {
		if err := os.MkdirAll(dir, mode); err != nil {
			return err
		}
	}
	// Names from here on are compared: those of bundles, and of peers.
	if d.StateDir, err = filepath.EvalSymlinks(d.StateDir); err != nil {
		return fmt.Errorf("state directory: %w", err)
	}
	if !d.legacy.of(d.RunDir, d.StateDir) {
		d.log.Warn().Msg("what a predecessor has left is of other directories, it is dropped")
		if err := d.legacy.drop(); err != nil {
			return err
		}
	}
	if d.runLock, d.inherited, err = d.legacy.lockDir("run", d.RunDir); err != nil {
		return err
	}
	if d.stateLock, _, err = d.legacy.lockDir("state", d.StateDir); err != nil {
		return err
	}
	if d.inherited { // containers may be in the making there
		mounted, err := isMountPoint(containersDir(d.RunDir))
		if mounted || err != nil {
			return err
		}
	}
	// What the precreate hook stages here must not spread to other mount
	// namespaces.
	return privateMount(containersDir(d.RunDir))
}

// isMountPoint reports whether dir is on another mount than its parent.
func isMountPoint(dir string) (bool, error) {
	var ids [2]int
	for i, path := range []string{dir, filepath.Dir(dir)} {
		f, err := sys.OpenPath(path)
		if err != nil {
			return false, err
		}
		id, err := f.MountID()
		if err := errors.Join(err, f.Close()); err != nil {
			return false, err
		}
		ids[i] = id
	}
	return ids[0] != ids[1], nil
}

func privateMount(dir string) error {
	if err := unmountAll(dir); err != nil {
		return err
	}
	if err := sys.BindOnto(dir, dir); err != nil {
		return err
	}
	return sys.MakeMountPrivate(dir)
}

// unmountAll removes every mount that is on top of dir.
func unmountAll(dir string) error {
	for {
		err := sys.Detach(dir)
		if errors.Is(err, syscall.EINVAL) {
			return nil // not a mount point any more
		}
		if err != nil {
			return err
		}
	}
}
