package attach

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"cloister/internal/sys"
)

// Views says which files to put over which.
type Views struct {
	// DaemonPID is a process in the mount namespace that has Dir.
	DaemonPID int
	// Dir holds the view files.
	Dir string
	// Files are the paths below Dir, and below the container's root.
	Files []string
	// PID is the container's init.
	PID int
	// Root is the container's root in the mount namespace of PID: the path of its
	// root file system before the runtime has changed to it, "/" afterwards.
	Root string
}

// Attach puts the views over the container's files and returns those that it
// attached: a file that the container's kernel or config doesn't have is left out.
//
// It leaves the calling thread, which must be locked, in the container's mount
// namespace.
func Attach(v Views) (attached []string, err error) {
	return v.attach(func(*sys.FD, string) error { return nil })
}

// attach does the work of Attach; before is called for each file first.
func (v *Views) attach(before func(root *sys.FD, file string) error) (attached []string, err error) {
	if err := sys.UnshareFS(); err != nil {
		return nil, err
	}
	its, err := sys.OpenPIDNamespace(v.PID, "mnt")
	if err != nil {
		return nil, fmt.Errorf("the container's mount namespace: %w", err)
	}
	defer its.Close()
	trees, err := v.clone()
	defer func() {
		for _, t := range trees {
			err = errors.Join(err, t.Close())
		}
	}()
	if err != nil {
		return nil, err
	}
	if err := its.Enter(sys.NewNS); err != nil {
		return nil, fmt.Errorf("enter the container's mount namespace: %w", err)
	}
	root, err := sys.OpenPath(v.Root)
	if err != nil {
		return nil, fmt.Errorf("the container's root: %w", err)
	}
	defer root.Close()
	for i, file := range v.Files {
		err := before(root, file)
		ok := false
		if err == nil {
			ok, err = put(trees[i], root, file)
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return attached, fmt.Errorf("attach view /%s: %w", file, err)
		}
		if ok {
			attached = append(attached, file)
		}
	}
	return attached, nil
}

// clone takes a detached copy of every view file's mount, from the mount namespace
// of the daemon.
func (v *Views) clone() ([]*sys.Tree, error) {
	daemon, err := sys.OpenPIDNamespace(v.DaemonPID, "mnt")
	if err != nil {
		return nil, fmt.Errorf("the daemon's mount namespace: %w", err)
	}
	defer daemon.Close()
	if err := daemon.Enter(sys.NewNS); err != nil {
		return nil, fmt.Errorf("enter the daemon's mount namespace: %w", err)
	}
	trees := make([]*sys.Tree, 0, len(v.Files))
	for _, file := range v.Files {
		tree, err := cloneFile(filepath.Join(v.Dir, file))
		if err != nil {
			return trees, fmt.Errorf("view /%s: %w", file, err)
		}
		trees = append(trees, tree)
	}
	return trees, nil
}

func cloneFile(path string) (*sys.Tree, error) {
	tree, err := sys.ClonePath(path, false)
	if err != nil {
		return nil, err
	}
	if err := tree.Set(sys.ReadOnly|sys.NoSUID|sys.NoDev|sys.NoExec, false); err != nil {
		return nil, errors.Join(err, tree.Close())
	}
	return tree, nil
}

// put attaches a view if the target is one of the kernel's files. If the container
// has something else there, the host's file is not visible and nothing is attached.
func put(view *sys.Tree, root *sys.FD, file string) (bool, error) {
	target, err := sys.OpenBeneathPath(root, file)
	if err != nil {
		return false, err
	}
	defer target.Close()
	want := sys.ProcMagic
	if strings.HasPrefix(file, "sys/") {
		want = sys.SysfsMagic
	}
	magic, err := target.FSMagic()
	if err != nil || magic != want {
		return false, err
	}
	return true, view.MoveOnto(target)
}

// Reattach puts views over files of a running container that may still be covered
// by views of a daemon that is gone. Like Attach, it leaves the calling thread in
// the container's mount namespace.
func Reattach(v Views) (attached []string, err error) {
	return v.attach(uncover)
}

// uncover removes FUSE mounts from a file of the container's.
func uncover(root *sys.FD, file string) error {
	for {
		target, err := sys.OpenBeneathPath(root, file)
		if err != nil {
			return err
		}
		magic, err := target.FSMagic()
		dead := errors.Is(err, syscall.ENOTCONN)
		if err := target.Close(); err != nil {
			return err
		}
		if !dead && magic != sys.FuseMagic {
			return nil
		}
		if err := detachBeneath(root, file); err != nil {
			return err
		}
	}
}

// detachBeneath unmounts what is on top of a file. umount(2) takes only a path, so
// the last element is looked up in its directory, made the working directory.
func detachBeneath(root *sys.FD, file string) error {
	dir, err := sys.OpenBeneathPath(root, filepath.Dir(file))
	if err != nil {
		return err
	}
	defer dir.Close()
	return sys.InDir(dir, func() error { return sys.Detach(filepath.Base(file)) })
}
