package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// nested are the namespaces that a row may begin in, beside a user namespace in which it is
// root.
var nested = map[string]uintptr{
	"enter userns":        unix.CLONE_NEWNS,
	"enter userns+cgroup": unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP,
	"enter userns+pid":    unix.CLONE_NEWNS | unix.CLONE_NEWPID,
	"enter userns+net":    unix.CLONE_NEWNS | unix.CLONE_NEWNET,
}

// namespaces are those that the process of a row needs from its start.
func namespaces(row string) *syscall.SysProcAttr {
	first, _, _ := strings.Cut(row, "; ")
	if first == "enter pid" {
		return &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID}
	}
	flags, ok := nested[first]
	if !ok {
		return nil
	}
	root := []syscall.SysProcIDMap{{Size: 1}}
	return &syscall.SysProcAttr{Cloneflags: flags | unix.CLONE_NEWUSER, UidMappings: root, GidMappings: root}
}

// enter goes where the following steps are taken.
func enter(w *walker, a []string) error {
	switch a[0] {
	case "plain", "pid":
		return nil
	case "chroot":
		return w.chroot()
	case "unshare":
		return unshareMounts()
	case "unshare+chroot":
		return errors.Join(unshareMounts(), w.chroot())
	case "pivot":
		return errors.Join(unshareMounts(), pivot())
	}
	if _, ok := nested["enter "+a[0]]; ok {
		return nil
	}
	return fmt.Errorf("no place %q", a[0])
}

func unshareMounts() error {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return err
	}
	return unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
}

// copyRoot makes a second tree of all mounts.
func copyRoot() (string, error) {
	dir, err := os.MkdirTemp("/mnt", "root")
	if err != nil {
		return "", err
	}
	return dir, unix.Mount("/", dir, "", unix.MS_BIND|unix.MS_REC, "")
}

func (w *walker) chroot() (err error) {
	if w.back, err = os.Open("/"); err != nil {
		return err
	}
	if w.root, err = copyRoot(); err != nil {
		return err
	}
	if err := unix.Chroot(w.root); err != nil {
		return err
	}
	return unix.Chdir("/")
}

// leave takes the other root away.
func (w *walker) leave() error {
	if w.root == "" {
		return nil
	}
	return errors.Join(w.back.Chdir(), unix.Chroot("."), unix.Unmount(w.root, unix.MNT_DETACH), os.Remove(w.root))
}

func pivot() error {
	dir, err := copyRoot()
	if err != nil {
		return err
	}
	if err := unix.PivotRoot(dir, dir+"/opt"); err != nil {
		return fmt.Errorf("pivot_root: %w", err)
	}
	if err := unix.Chdir("/"); err != nil {
		return err
	}
	return unix.Unmount("/opt", unix.MNT_DETACH)
}
