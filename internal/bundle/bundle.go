package bundle

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"cloister/cgroupview"
)

// rootfsDir is the name of the root file system in a bundle.
const rootfsDir = "rootfs"

// ErrInUse is returned for the name of a container that exists.
var ErrInUse = errors.New("is in use by another container")

// Create makes the bundle at dir, which must not exist; its parent must. host is
// where the host's files are. When Create fails nothing is left.
func Create(dir string, host Root, o *Options) (err error) {
	if err := host.check(o); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		if errors.Is(err, os.ErrExist) {
			return fmt.Errorf("the name %q %w", o.Name, ErrInUse)
		}
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	if o.Rootfs == "" {
		if err := host.buildRoot(filepath.Join(dir, rootfsDir), o.Name); err != nil {
			return fmt.Errorf("make a root file system: %w", err)
		}
	}
	config, err := json.MarshalIndent(Spec(o), "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "config.json"), config, 0o600)
}

// check makes sure that what the options name on the host is there.
func (r Root) check(o *Options) error {
	if o.Rootfs != "" {
		if info, err := os.Stat(r.Path(o.Rootfs)); err != nil || !info.IsDir() {
			return fmt.Errorf("--rootfs: %s is not a directory", o.Rootfs)
		}
	}
	online, err := os.ReadFile(r.Path("/sys/devices/system/cpu/online"))
	if err != nil {
		return err
	}
	set, err := cgroupview.ParseCPUSet(online)
	if err == nil {
		err = o.Limits.CPUSet.within(set)
	}
	if err != nil {
		return fmt.Errorf("--cpuset-cpus: %w", err)
	}
	for _, v := range o.Volumes {
		if _, err := os.Stat(r.Path(v.Source)); err != nil {
			return fmt.Errorf("--volume: %w", err)
		}
	}
	return nil
}
