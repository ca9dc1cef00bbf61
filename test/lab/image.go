package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// ImageName is what the image of the tests is called in engines.
const ImageName = "localhost/small:1"

// makeRootfs makes a small system: busybox, users, and programs of the tests'.
func (l *Lab) makeRootfs(programs map[string]string) error {
	l.Rootfs = filepath.Join(l.Dir, "rootfs")
	for _, dir := range []string{"bin", "etc", "root", "var", "home", "data", "mnt", "opt", "pkg", "proc", "sys", "dev"} {
		if err := os.MkdirAll(filepath.Join(l.Rootfs, dir), 0o755); err != nil {
			return err
		}
	}
	if err := os.Mkdir(filepath.Join(l.Rootfs, "tmp"), 0o777|fs.ModeSticky); err != nil {
		return err
	}
	if err := os.Chmod(filepath.Join(l.Rootfs, "tmp"), 0o777|fs.ModeSticky); err != nil {
		return err
	}
	for path, text := range map[string]string{
		"etc/passwd": "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/home:/bin/sh\n",
		"etc/group":  "root:x:0:\nuser:x:1000:\n",
		"pkg/layer":  "from the image\n",
	} {
		if err := os.WriteFile(filepath.Join(l.Rootfs, path), []byte(text), 0o644); err != nil {
			return err
		}
	}
	if err := os.Chown(filepath.Join(l.Rootfs, "home"), 1000, 1000); err != nil {
		return err
	}
	if err := l.addPrograms(programs); err != nil {
		return err
	}
	// A device node in an image must be of no use: this one is of a disk that no
	// machine has, so that the test does no harm where it is.
	if err := unix.Mknod(filepath.Join(l.Rootfs, "opt/disk"), unix.S_IFBLK|0o666, int(unix.Mkdev(7, 200))); err != nil {
		return fmt.Errorf("mknod: %w", err)
	}
	return nil
}

func (l *Lab) addPrograms(programs map[string]string) error {
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		return err
	}
	all := maps.Clone(programs)
	all["busybox"] = busybox
	for name, source := range all {
		data, err := os.ReadFile(source)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(l.Rootfs, "bin", name), data, 0o755); err != nil {
			return err
		}
	}
	applets, err := exec.Command(busybox, "--list").Output()
	if err != nil {
		return err
	}
	for _, name := range strings.Fields(string(applets)) {
		err := os.Symlink("busybox", filepath.Join(l.Rootfs, "bin", name))
		if err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	return nil
}
