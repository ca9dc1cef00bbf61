//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// imageName is what the image of the tests is called in engines.
const imageName = "localhost/small:1"

// makeRootfs makes a small system: busybox, users, and the probe, which tries what
// busybox has no command for.
func makeRootfs() error {
	world.rootfs = filepath.Join(world.dir, "rootfs")
	for _, dir := range []string{"bin", "etc", "root", "var", "home", "data", "mnt", "opt", "pkg", "proc", "sys", "dev"} {
		if err := os.MkdirAll(filepath.Join(world.rootfs, dir), 0o755); err != nil {
			return err
		}
	}
	if err := os.Mkdir(filepath.Join(world.rootfs, "tmp"), 0o777|fs.ModeSticky); err != nil {
		return err
	}
	if err := os.Chmod(filepath.Join(world.rootfs, "tmp"), 0o777|fs.ModeSticky); err != nil {
		return err
	}
	for path, text := range map[string]string{
		"etc/passwd": "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/home:/bin/sh\n",
		"etc/group":  "root:x:0:\nuser:x:1000:\n",
		"pkg/layer":  "from the image\n",
	} {
		if err := os.WriteFile(filepath.Join(world.rootfs, path), []byte(text), 0o644); err != nil {
			return err
		}
	}
	if err := os.Chown(filepath.Join(world.rootfs, "home"), 1000, 1000); err != nil {
		return err
	}
	if err := addPrograms(); err != nil {
		return err
	}
	// A device node in an image must be of no use: this one is of a disk that no
	// machine has, so that the test does no harm where it is.
	if err := unix.Mknod(filepath.Join(world.rootfs, "opt/disk"), unix.S_IFBLK|0o666, int(unix.Mkdev(7, 200))); err != nil {
		return fmt.Errorf("mknod: %w", err)
	}
	return nil
}

func addPrograms() error {
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	for name, source := range map[string]string{"busybox": busybox, probeName: self} {
		data, err := os.ReadFile(source)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(world.rootfs, "bin", name), data, 0o755); err != nil {
			return err
		}
	}
	applets, err := exec.Command(busybox, "--list").Output()
	if err != nil {
		return err
	}
	for _, name := range strings.Fields(string(applets)) {
		err := os.Symlink("busybox", filepath.Join(world.rootfs, "bin", name))
		if err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	return nil
}
