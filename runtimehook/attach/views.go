package attach

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"cloister/internal/sealed"
	"cloister/internal/sys"
)

// Views says what to put over which of a container's files.
type Views struct {
	// DaemonPID is a process in the mount namespace that has the sources.
	DaemonPID int
	List      []sealed.View
	// Dropped are files whose views Reattach takes away and puts nothing in place of.
	Dropped []string
	// Root is the container's root in its mount namespace: the path of its root
	// file system before the runtime has changed to it, "/" afterwards.
	Root string
}

// ErrDaemonGone tells that Views.DaemonPID has ended before anything was attached. The
// process that has taken its place serves the same sources.
var ErrDaemonGone = errors.New("the daemon's process is gone")

// Attach puts the views over the files of the container whose init is pid, and
// returns those that it attached: a file that the container's kernel or config
// doesn't have is left out.
//
// It leaves the calling thread, which must be locked, in the container's mount
// namespace.
func Attach(pid int, v Views) (attached []string, err error) {
	init, err := sys.OpenProcess(pid)
	if err != nil {
		return nil, fmt.Errorf("the container's init: %w", err)
	}
	defer init.Close()
	return v.attach(init, func(*sys.FD, string) error { return nil })
}

// attach does the work of Attach; before is called for each file first.
func (v *Views) attach(init *sys.FD, before func(root *sys.FD, file string) error) (attached []string, err error) {
	if err := sys.UnshareFS(); err != nil {
		return nil, err
	}
	trees, err := v.clone()
	defer func() {
		for _, t := range trees {
			err = errors.Join(err, t.Close())
		}
	}()
	if err != nil {
		return nil, err
	}
	if err := sys.EnterMounts(init); err != nil {
		return nil, fmt.Errorf("enter the container's mount namespace: %w", err)
	}
	root, err := sys.OpenPath(v.Root)
	if err != nil {
		return nil, fmt.Errorf("the container's root: %w", err)
	}
	defer root.Close()
	var failed []error // what is wrong with one leaves the others
	for _, file := range v.Dropped {
		if err := before(root, file); err != nil && !errors.Is(err, os.ErrNotExist) {
			failed = append(failed, fmt.Errorf("take away view /%s: %w", file, err))
		}
	}
	for i, view := range v.List {
		err := before(root, view.Path)
		ok := false
		if err == nil {
			ok, err = put(trees[i], root, view.Path)
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			failed = append(failed, fmt.Errorf("attach view /%s: %w", view.Path, err))
		}
		if ok {
			attached = append(attached, view.Path)
		}
	}
	return attached, errors.Join(failed...)
}

// clone takes a detached copy of every view's mount, from the mount namespace
// of the daemon.
func (v *Views) clone() ([]*sys.Tree, error) {
	daemon, err := sys.OpenPIDNamespace(v.DaemonPID, "mnt")
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%w: %w", ErrDaemonGone, err)
	}
	if err != nil {
		return nil, fmt.Errorf("the daemon's mount namespace: %w", err)
	}
	defer daemon.Close()
	if err := daemon.Enter(sys.NewNS); err != nil {
		return nil, fmt.Errorf("enter the daemon's mount namespace: %w", err)
	}
	trees := make([]*sys.Tree, 0, len(v.List))
	for _, view := range v.List {
		tree, err := cloneView(&view)
		if err != nil {
			return trees, fmt.Errorf("view /%s: %w", view.Path, err)
		}
		trees = append(trees, tree)
	}
	return trees, nil
}

func cloneView(v *sealed.View) (*sys.Tree, error) {
	tree, err := sys.ClonePath(v.Source, false)
	if err != nil {
		return nil, err
	}
	flags := sys.NoSUID | sys.NoDev | sys.NoExec
	if !v.Writable {
		flags |= sys.ReadOnly
	}
	if err := tree.Set(flags, false); err != nil {
		return nil, errors.Join(err, tree.Close())
	}
	return tree, nil
}

// put attaches a view if the target is one of the kernel's files or directories. If
// the container has something else there, the host's file is not visible and nothing
// is attached.
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
