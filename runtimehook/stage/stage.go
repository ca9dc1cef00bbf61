// Package stage prepares, on the host's side, the file systems that a container
// mounts: its root file system and its bind mounts, with the owners of their
// files shifted into the container's range of ids.
//
// Nothing on disk changes its owner. Every source is cloned (open_tree), id-mapped
// (mount_setattr) and attached below an area of its own, and the container's
// config is pointed there. A read-only source or root is made read-only here, and Seal
// has the kernel lock it: no capability of the container can make it writable.
//
// The wrapper stages in a mount namespace that only it and the runtime live in;
// nothing of it is seen on the host or has to be cleaned up. The precreate hook has
// to stage in the host's mount namespace, and the prestart hook clears the area as
// soon as the container has copies.
package stage

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"

	"cloister/internal/sys"
	"cloister/runtimehook/hostpath"
	"cloister/runtimehook/idrange"
)

// EnterPrivate moves the calling thread, which must stay locked, into a mount
// namespace of its own. Mounts of the host still arrive there, none leave it.
func EnterPrivate() error {
	if err := sys.UnshareMounts(); err != nil {
		return fmt.Errorf("make a private mount namespace: %w", err)
	}
	return sys.MakeRecursiveSlave("/")
}

// The names inside a container's directory. The daemon makes the directory and
// RootfsDir, which has to exist on the host as well because runc starts `exec` in
// it.
const (
	RootfsDir = "rootfs"
	mountsDir = "mounts"
)

// Area is where a container's sources are staged.
type Area struct {
	dir      string         // the container's directory
	idmap    *sys.Namespace // nil: owners stay as they are
	mounts   *hostpath.Table
	unsealed []string // what Seal has to do
}

// Open makes the area of a container below its directory. With a nil range no
// owner is shifted. The mount table must be that of the calling thread.
func Open(dir string, ids *idrange.Range, mounts *hostpath.Table) (*Area, error) {
	a := &Area{dir: dir, mounts: mounts}
	target := filepath.Join(dir, mountsDir)
	if err := os.Mkdir(target, 0o711); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("stage mounts: %w", err)
	}
	if err := sys.MountTmpfs(target); err != nil {
		return nil, fmt.Errorf("stage mounts: %w", err)
	}
	if ids != nil {
		ns, err := sys.NewUserNamespace(ids.Start, ids.Size)
		if err != nil {
			return nil, fmt.Errorf("stage mounts: %w", err)
		}
		a.idmap = ns
	}
	return a, nil
}

// Close releases the area's descriptors; its mounts stay.
func (a *Area) Close() error {
	if a.idmap == nil {
		return nil
	}
	return a.idmap.Close()
}

// Clear unmounts everything that was staged below a container's directory in the
// calling thread's mount namespace.
func Clear(dir string) error {
	var errs []error
	for _, name := range []string{mountsDir, RootfsDir} {
		path := filepath.Join(dir, name)
		for {
			err := sys.Detach(path)
			if errors.Is(err, syscall.EINVAL) || errors.Is(err, os.ErrNotExist) {
				break // no mount (any more)
			}
			if err != nil {
				errs = append(errs, err)
				break
			}
		}
	}
	return errors.Join(errs...)
}

func (a *Area) path(name string) string { return filepath.Join(a.dir, mountsDir, name) }

// UnmappableError says that the owners of a source can't be shifted.
type UnmappableError struct {
	Path   string
	FSType string
	Err    error
}

func (e *UnmappableError) Error() string {
	return fmt.Sprintf("can't shift the owners of %s into the container's user namespace: it is on %s, which this kernel can't id-map (%v); use a directory on ext4, xfs, btrfs or, from Linux 6.3 on, tmpfs",
		e.Path, e.FSType, e.Err)
}

// Unwrap returns the kernel's answer.
func (e *UnmappableError) Unwrap() error { return e.Err }

// clone copies the mount under f and shifts its owners.
func (a *Area) clone(f *hostpath.File, recursive bool) (*sys.Tree, error) {
	tree, err := sys.CloneTree(f.FD, recursive)
	if err != nil {
		return nil, fmt.Errorf("clone %s: %w", f.Path, err)
	}
	if err := a.shift(tree, f, recursive); err != nil {
		return nil, errors.Join(err, tree.Close())
	}
	return tree, nil
}

func (a *Area) shift(tree *sys.Tree, f *hostpath.File, recursive bool) error {
	if a.idmap == nil {
		return nil
	}
	err := tree.IDMap(a.idmap.FD, recursive)
	if err == nil {
		return nil
	}
	types := []string{f.FSType}
	if recursive {
		for _, p := range a.mounts.Below(f) {
			if !slices.Contains(types, p.FSType) {
				types = append(types, p.FSType)
			}
		}
	}
	return &UnmappableError{Path: f.Path, FSType: joinOr(types), Err: err}
}

func joinOr(words []string) string {
	out := words[0]
	for _, w := range words[1:] {
		out += " or " + w
	}
	return out
}

// attach puts a tree at a new name in the area.
func (a *Area) attach(tree *sys.Tree, name string, isDir bool) (string, error) {
	target := a.path(name)
	if err := makeMountPoint(target, isDir); err != nil {
		return "", err
	}
	return target, tree.MoveTo(target)
}

func makeMountPoint(path string, isDir bool) error {
	if isDir {
		return os.MkdirAll(path, 0o711)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

func number(i int) string { return strconv.Itoa(i) }
