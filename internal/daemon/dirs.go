package daemon

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"cloister/runtimehook/idrange"
	"cloister/runtimehook/stage"
)

const rootfsDir = stage.RootfsDir

// makeDir makes a container's directory. What is staged there may be hidden from the
// host's users where it comes from, so only the container's root, who mounts it, may
// pass, by its group; everybody may while that is not known. It may write nothing: the
// container's init can outlive its runtime, and makes mount points where the staged root
// has just been taken away.
func makeDir(dir string, ids idrange.Range) error {
	err := os.MkdirAll(filepath.Join(dir, rootfsDir), 0o711)
	if err == nil && ids.Size != 0 {
		err = errors.Join(os.Chown(dir, 0, int(ids.Start)), os.Chmod(dir, 0o710))
	}
	if err != nil {
		return fmt.Errorf("container directory: %w", err)
	}
	return nil
}

// removeDir removes a container's directory. Whatever is still mounted below is
// unmounted first, and nothing is removed recursively: a root file system that
// stayed mounted must never be emptied.
func removeDir(dir string) error {
	if err := stage.Clear(dir); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return ignoreMissing(err)
	}
	var errs []error
	for _, e := range entries {
		errs = append(errs, ignoreMissing(os.Remove(filepath.Join(dir, e.Name()))))
	}
	return errors.Join(append(errs, ignoreMissing(os.Remove(dir)))...)
}

// dirGrace is how long processes of a runtime that was killed may still be at work.
const dirGrace = time.Second

// discardDir removes a container's directory, now and again after a while: nobody else
// ever would.
func (r *registry) discardDir(c *container) error {
	dir := r.dir(c)
	time.AfterFunc(dirGrace, func() {
		if r.isClosed() {
			return
		}
		if _, err := os.Lstat(dir); errors.Is(err, os.ErrNotExist) {
			return
		}
		r.log.Warn().Str("cid", c.ID).Str("key", c.key()).AnErr("error", removeDir(dir)).Msg("the directory of a released container is removed again")
	})
	return removeDir(dir)
}

// bootID names this boot of the host.
func bootID() (string, error) {
	data, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(data)), nil
}
