package attach

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/moby/sys/mountinfo"

	"cloister/internal/sys"
)

// View is a file or directory to put over one of the container's.
type View struct {
	// Source is where it is, in the daemon's mount namespace.
	Source string `json:"source"`
	// Path is where it goes, without the slash before: "proc/meminfo".
	Path string `json:"path"`
	// Writable tells that the container may write to it.
	Writable bool `json:"writable,omitempty"`
}

// Views says what to put over which of a container's files.
type Views struct {
	// DaemonPID is a process in the mount namespace that has the sources.
	DaemonPID int
	List      []View
	// Dropped are files whose views Reattach takes away and puts nothing in place of.
	Dropped []string
	// Root is the container's root in its mount namespace: the path of its root
	// file system before the runtime has changed to it, "/" afterwards.
	Root string
}

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
	for _, file := range v.Dropped {
		if err := before(root, file); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("take away view /%s: %w", file, err)
		}
	}
	for i, view := range v.List {
		err := before(root, view.Path)
		ok := false
		if err == nil {
			ok, err = put(trees[i], root, view.Path)
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return attached, fmt.Errorf("attach view /%s: %w", view.Path, err)
		}
		if ok {
			attached = append(attached, view.Path)
		}
	}
	return attached, nil
}

// clone takes a detached copy of every view's mount, from the mount namespace
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
	trees := make([]*sys.Tree, 0, len(v.List))
	for _, view := range v.List {
		tree, err := view.clone()
		if err != nil {
			return trees, fmt.Errorf("view /%s: %w", view.Path, err)
		}
		trees = append(trees, tree)
	}
	return trees, nil
}

func (v *View) clone() (*sys.Tree, error) {
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

// put attaches a view if the target is one of the kernel's files or directories. If the container
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
// by views of a daemon that is gone. init is a pidfd: the container may end at any
// time, and its number become another's. Like Attach, it leaves the calling thread
// in the container's mount namespace.
//
// What is mounted there is the container's choice, so this may take long.
func Reattach(init *sys.FD, v Views) (attached []string, err error) {
	proc, err := os.OpenRoot("/proc") // the container may have covered its own
	if err != nil {
		return nil, err
	}
	defer proc.Close()
	return v.attach(init, func(root *sys.FD, file string) error { return uncover(proc, root, file) })
}

// maxLayers is how many mounts are taken off a file. A daemon leaves one, which the
// next takes away: a pile of them is the container's own.
const maxLayers = 16

// uncover removes FUSE mounts from a file of the container's. It asks no server of
// theirs for anything: not even being killed frees a thread from one that has taken
// a request and does not answer it.
func uncover(proc *os.Root, root *sys.FD, file string) error {
	fuse, err := fuseMounts(proc)
	if err != nil {
		return err
	}
	for i, c := range file {
		if c != '/' {
			continue
		}
		id, err := mountAt(root, file[:i])
		if err != nil {
			return err
		}
		if fuse[id] {
			return fmt.Errorf("a FUSE mount is at /%s", file[:i])
		}
	}
	for range maxLayers {
		if id, err := mountAt(root, file); err != nil || !fuse[id] {
			return err
		}
		if err := detachBeneath(root, file); err != nil {
			return err
		}
	}
	if id, err := mountAt(root, file); err != nil || !fuse[id] {
		return err
	}
	return fmt.Errorf("more than %d FUSE mounts are on top of it", maxLayers)
}

// fuseMounts returns the ids of the FUSE mounts in the calling thread's mount
// namespace. proc is the host's.
func fuseMounts(proc *os.Root) (map[int]bool, error) {
	f, err := proc.Open("thread-self/mountinfo")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	fuse := map[int]bool{}
	_, err = mountinfo.GetMountsFromReader(f, func(m *mountinfo.Info) (skip, stop bool) {
		if strings.HasPrefix(m.FSType, "fuse") {
			fuse[m.ID] = true
		}
		return true, false
	})
	return fuse, err
}

// mountAt returns the id of the mount on top of a file.
func mountAt(root *sys.FD, file string) (int, error) {
	f, err := sys.OpenBeneathPath(root, file)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return f.MountID()
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
