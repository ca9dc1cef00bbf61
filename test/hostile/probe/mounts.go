package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// mountAPIs are the ways to change mounts: by mount(2), by that of i386, by
// mount_setattr(2), by open_tree(2) and move_mount(2), and by the fsopen(2) family.
var mountAPIs = []string{"mount", "i386", "setattr", "tree", "fs"}

func (w *walker) abi() abi {
	if w.api == "i386" {
		return i386
	}
	return native
}

// old tells whether mounts are made with mount(2).
func (w *walker) old() bool { return w.api == "" || w.api == "mount" || w.api == "i386" }

func setAPI(w *walker, a []string) error {
	if !slices.Contains(mountAPIs, a[0]) {
		return fmt.Errorf("no way %q to change mounts", a[0])
	}
	w.api = a[0]
	return nil
}

// attribute sets or clears one attribute of a mount.
func (w *walker) attribute(path, name string, on bool) error {
	attr := attributes[name]
	switch {
	case w.old():
		flags, err := currentFlags(path)
		if err != nil {
			return err
		}
		flags &^= attr.flag
		if on {
			flags |= attr.flag
		}
		return w.abi().mount("", path, "", unix.MS_REMOUNT|unix.MS_BIND|flags, "")
	case w.api == "setattr":
		return unix.MountSetattr(unix.AT_FDCWD, path, 0, attr.change(on))
	case w.api == "tree":
		return overlayCopy(path, attr.change(on))
	}
	return reconfigure(path, name, on)
}

type attribute struct {
	flag uintptr
	attr uint64
}

var attributes = map[string]attribute{
	"ro":     {unix.MS_RDONLY, unix.MOUNT_ATTR_RDONLY},
	"nosuid": {unix.MS_NOSUID, unix.MOUNT_ATTR_NOSUID},
	"nodev":  {unix.MS_NODEV, unix.MOUNT_ATTR_NODEV},
	"noexec": {unix.MS_NOEXEC, unix.MOUNT_ATTR_NOEXEC},
}

func (a attribute) change(on bool) *unix.MountAttr {
	if on {
		return &unix.MountAttr{Attr_set: a.attr}
	}
	return &unix.MountAttr{Attr_clr: a.attr}
}

// currentFlags are a mount's, so that a remount changes one of them alone. statfs has the
// same bits.
func currentFlags(path string) (uintptr, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(path, &s); err != nil {
		return 0, err
	}
	return uintptr(s.Flags) & (unix.MS_RDONLY | unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC), nil
}

// attributeNames returns those that the mount has.
func attributeNames(path string) (string, error) {
	flags, err := currentFlags(path)
	var names []string
	for name, a := range attributes {
		if flags&a.flag != 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return strings.Join(names, ","), err
}

// overlayCopy changes a detached copy of a mount and puts it over the mount.
func overlayCopy(path string, change *unix.MountAttr) error {
	fd, err := unix.OpenTree(unix.AT_FDCWD, path, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH, change); err != nil {
		return err
	}
	return unix.MoveMount(fd, "", unix.AT_FDCWD, path, unix.MOVE_MOUNT_F_EMPTY_PATH)
}

// reconfigure changes the file system itself. Who is root of the host would change the
// host's, so it is not tried there.
func reconfigure(path, name string, on bool) error {
	ids, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		return err
	}
	if strings.Fields(string(ids))[1] == "0" {
		return fmt.Errorf("not tried as root of the host")
	}
	if !on {
		name = map[string]string{"ro": "rw", "nosuid": "suid", "nodev": "dev", "noexec": "exec"}[name]
	}
	fd, err := unix.Fspick(unix.AT_FDCWD, path, unix.FSPICK_CLOEXEC)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.FsconfigSetFlag(fd, name); err != nil {
		return err
	}
	return unix.FsconfigReconfigure(fd)
}

// bind mounts a again at b.
func (w *walker) bind(a, b string, recursive bool) error {
	if w.old() {
		flags := uintptr(unix.MS_BIND)
		if recursive {
			flags |= unix.MS_REC
		}
		return w.abi().mount(a, b, "", flags, "")
	}
	flags := uint(unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC)
	if recursive {
		flags |= unix.AT_RECURSIVE
	}
	fd, err := unix.OpenTree(unix.AT_FDCWD, a, flags)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.MoveMount(fd, "", unix.AT_FDCWD, b, unix.MOVE_MOUNT_F_EMPTY_PATH)
}

func (w *walker) move(a, b string) error {
	if w.old() {
		return w.abi().mount(a, b, "", unix.MS_MOVE, "")
	}
	return unix.MoveMount(unix.AT_FDCWD, a, unix.AT_FDCWD, b, 0)
}

// create mounts a file system of its own. Options are like those of mount(8).
func (w *walker) create(fstype, target, options string) error {
	if w.old() {
		flags, data := splitOptions(options)
		return w.abi().mount(fstype, target, fstype, flags, data)
	}
	fd, err := detachedFS(fstype)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.MoveMount(fd, "", unix.AT_FDCWD, target, unix.MOVE_MOUNT_F_EMPTY_PATH)
}

// detachedFS returns a file system that is mounted nowhere.
func detachedFS(fstype string) (int, error) {
	context, err := unix.Fsopen(fstype, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, err
	}
	defer unix.Close(context)
	if err := unix.FsconfigCreate(context); err != nil {
		return -1, err
	}
	return unix.Fsmount(context, unix.FSMOUNT_CLOEXEC, 0)
}

var optionFlags = map[string]uintptr{
	"ro": unix.MS_RDONLY, "nosuid": unix.MS_NOSUID, "nodev": unix.MS_NODEV, "noexec": unix.MS_NOEXEC, "remount": unix.MS_REMOUNT,
}

func splitOptions(options string) (flags uintptr, data string) {
	var rest []string
	for o := range strings.SplitSeq(options, ",") {
		if f, ok := optionFlags[o]; ok {
			flags |= f
		} else if o != "" {
			rest = append(rest, o)
		}
	}
	return flags, strings.Join(rest, ",")
}

var propagations = map[string]uintptr{
	"private": unix.MS_PRIVATE, "shared": unix.MS_SHARED, "slave": unix.MS_SLAVE, "unbindable": unix.MS_UNBINDABLE,
}

func (w *walker) propagation(path, kind string) error {
	if w.old() {
		return w.abi().mount("", path, "", propagations[kind], "")
	}
	return unix.MountSetattr(unix.AT_FDCWD, path, 0, &unix.MountAttr{Propagation: uint64(propagations[kind])})
}
