package sys

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Tree is a detached copy of a mount, or of a tree of mounts: it is in no mount
// namespace until it is moved somewhere, and vanishes when closed before that.
type Tree struct{ *FD }

// Close gives the tree up, unless it was moved somewhere.
func (t *Tree) Close() error {
	if t == nil {
		return nil
	}
	return t.FD.Close()
}

// CloneTree copies the mount that f was opened through, with f as its root
// (open_tree(2) with OPEN_TREE_CLONE). recursive copies the mounts below as
// well. The mount must belong to the calling thread's mount namespace.
func CloneTree(f *FD, recursive bool) (*Tree, error) {
	fd, err := unix.OpenTree(f.fd, "", cloneFlags(recursive)|unix.AT_EMPTY_PATH)
	if err != nil {
		return nil, os.NewSyscallError("open_tree", err)
	}
	return &Tree{&FD{fd}}, nil
}

// ClonePath does the same for the mount at path. A symbolic link at the end is followed.
func ClonePath(path string, recursive bool) (*Tree, error) {
	fd, err := unix.OpenTree(unix.AT_FDCWD, path, cloneFlags(recursive))
	if err != nil {
		return nil, &os.PathError{Op: "open_tree", Path: path, Err: err}
	}
	return &Tree{&FD{fd}}, nil
}

func cloneFlags(recursive bool) uint {
	if recursive {
		return unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC | unix.AT_RECURSIVE
	}
	return unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC
}

// Attr is a set of mount attributes to turn on.
type Attr uint64

// The attributes of mount_setattr(2).
const (
	ReadOnly Attr = unix.MOUNT_ATTR_RDONLY
	NoSUID   Attr = unix.MOUNT_ATTR_NOSUID
	NoDev    Attr = unix.MOUNT_ATTR_NODEV
	NoExec   Attr = unix.MOUNT_ATTR_NOEXEC

	NoSymFollow Attr = unix.MOUNT_ATTR_NOSYMFOLLOW
	NoDirAtime  Attr = unix.MOUNT_ATTR_NODIRATIME
	NoAtime     Attr = unix.MOUNT_ATTR_NOATIME
	StrictAtime Attr = unix.MOUNT_ATTR_STRICTATIME
	// AtimeModes are what of NoAtime, StrictAtime and neither is changed together.
	AtimeModes Attr = unix.MOUNT_ATTR__ATIME
)

// Set turns attributes on, on the tree's root mount or on all its mounts.
func (t *Tree) Set(attrs Attr, recursive bool) error {
	return t.setattr(&unix.MountAttr{Attr_set: uint64(attrs)}, recursive)
}

// SetMountAttrs turns attributes on for the mount of which the open file is the root.
func (f *FD) SetMountAttrs(attrs Attr) error { return (&Tree{f}).Set(attrs, false) }

// IDMap makes the tree show the owners of its files through the id mapping of
// the user namespace userns. EINVAL means that a file system in the tree has no
// support for it, EPERM that a mount in it is id-mapped already.
func (t *Tree) IDMap(userns *FD, recursive bool) error {
	return t.setattr(&unix.MountAttr{
		Attr_set:  unix.MOUNT_ATTR_IDMAP,
		Userns_fd: uint64(userns.fd),
	}, recursive)
}

func (t *Tree) setattr(attr *unix.MountAttr, recursive bool) error {
	flags := uint(unix.AT_EMPTY_PATH)
	if recursive {
		flags |= unix.AT_RECURSIVE
	}
	return os.NewSyscallError("mount_setattr", unix.MountSetattr(t.fd, "", flags, attr))
}

// MoveTo attaches the tree at target, which is followed if it is a symbolic link.
func (t *Tree) MoveTo(target string) error {
	err := unix.MoveMount(t.fd, "", unix.AT_FDCWD, target, unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_SYMLINKS)
	if err != nil {
		return &os.PathError{Op: "move_mount", Path: target, Err: err}
	}
	return nil
}

// MoveOnto attaches the tree at the open file target.
func (t *Tree) MoveOnto(target *FD) error {
	err := unix.MoveMount(t.fd, "", target.fd, "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH)
	return os.NewSyscallError("move_mount", err)
}

// MakePrivate keeps mounts that others make in the original from the tree, and those
// made in the tree from the original.
func (t *Tree) MakePrivate() error {
	return t.setattr(&unix.MountAttr{Propagation: unix.MS_PRIVATE}, true)
}

// Mount is mount(2).
func Mount(source, target, fstype string, flags uintptr, data string) error {
	if err := unix.Mount(source, target, fstype, flags, data); err != nil {
		return fmt.Errorf("mount %s at %s: %w", fstype, target, err)
	}
	return nil
}

// MountTmpfs mounts an empty tmpfs for staging: root-owned, searchable by all.
func MountTmpfs(target string) error {
	return Mount("cloister", target, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=0711")
}

// MountSysfs mounts the sysfs of the calling thread's network namespace.
func MountSysfs(target string, readOnly bool) error {
	flags := uintptr(unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC)
	if readOnly {
		flags |= unix.MS_RDONLY
	}
	return Mount("sysfs", target, "sysfs", flags, "")
}

// MountOverlay mounts an overlay file system on which device nodes don't work.
func MountOverlay(target, options string) error {
	return Mount("overlay", target, "overlay", unix.MS_NODEV, options)
}

// BindOnto makes the file at source appear at target as well.
func BindOnto(source, target string) error {
	if err := unix.Mount(source, target, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("bind %s onto %s: %w", source, target, err)
	}
	return nil
}

// MakeRecursiveSlave stops mounts made below path from reaching other mount
// namespaces, while theirs still arrive.
func MakeRecursiveSlave(path string) error {
	return Mount("", path, "", unix.MS_REC|unix.MS_SLAVE, "")
}

// MakeMountPrivate stops propagation of mounts in both directions at path,
// which must be a mount point.
func MakeMountPrivate(path string) error {
	return Mount("", path, "", unix.MS_PRIVATE, "")
}

// MakeShared has mounts made at path, which must be a mount point, appear in later
// copies of it as well.
func MakeShared(path string) error {
	return Mount("", path, "", unix.MS_SHARED, "")
}

// Move takes the mount at source, with those below it, to target.
func Move(source, target string) error {
	if err := unix.Mount(source, target, "", unix.MS_MOVE, ""); err != nil {
		return fmt.Errorf("move mount %s to %s: %w", source, target, err)
	}
	return nil
}

// Detach unmounts what is on top at path, as soon as nobody uses it (MNT_DETACH).
// It does not follow a symbolic link at path. EINVAL means that path is no mount
// point.
func Detach(path string) error {
	if err := unix.Unmount(path, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil {
		return &os.PathError{Op: "umount", Path: path, Err: err}
	}
	return nil
}

// Restrictions are the flags of a mount that take something away (statfs(2),
// f_flags).
type Restrictions int64

// NoSymlinks tells that no symbolic link is followed (ST_NOSYMFOLLOW).
const NoSymlinks Restrictions = 0x2000

// MountRestrictions returns those of the mount that path is on.
func MountRestrictions(path string) (Restrictions, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return 0, &os.PathError{Op: "statfs", Path: path, Err: err}
	}
	return Restrictions(st.Flags), nil
}

// Options returns the names by which mount(8) and config.json know them.
func (r Restrictions) Options() []string {
	var out []string
	for _, o := range []struct {
		flag Restrictions
		name string
	}{{unix.ST_RDONLY, "ro"}, {unix.ST_NOSUID, "nosuid"}, {unix.ST_NODEV, "nodev"}, {unix.ST_NOEXEC, "noexec"}} {
		if r&o.flag != 0 {
			out = append(out, o.name)
		}
	}
	return out
}
