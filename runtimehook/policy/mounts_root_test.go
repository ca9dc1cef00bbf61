//go:build root

package policy

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"cloister/internal/sys"
	"cloister/internal/sys/systest"
	"cloister/runtimehook/hostpath"
)

// A user can have an engine mount file systems as volumes; those of the host's disks
// and directories are not harmless.
func TestVolumesThatAreMounts(t *testing.T) {
	systest.InPrivateMounts(t, func(dir string) error {
		at := func(name string) string { return filepath.Join(dir, name) }
		for _, name := range []string{"srv", "lower", "bind", "tmpfs", "overlay", "ramfs"} {
			if err := os.Mkdir(at(name), 0o755); err != nil {
				return err
			}
		}
		err := errors.Join(
			sys.BindOnto(at("srv"), at("bind")),
			sys.MountTmpfs(at("tmpfs")),
			sys.Mount("ramfs", at("ramfs"), "ramfs", 0, ""), // as a disk that the host has not mounted
			sys.MountOverlay(at("overlay"), fmt.Sprintf("lowerdir=%s:%s", at("srv"), at("lower"))),
		)
		if err != nil {
			return err
		}
		mounts, err := hostpath.ReadTable()
		if err != nil {
			return err
		}
		for name, want := range map[string]bool{"bind": true, "tmpfs": true, "overlay": false, "ramfs": false} {
			f, err := mounts.Open(at(name))
			if err != nil {
				return err
			}
			if got := shared(mounts, f); got != want {
				t.Errorf("%s: got %v, want %v", name, got, want)
			}
			if got := mounts.MountedElsewhere(f); got != (name == "bind") {
				t.Errorf("%s is mounted elsewhere: %v", name, got)
			}
			if err := f.Close(); err != nil {
				return err
			}
		}
		return nil
	})
}
