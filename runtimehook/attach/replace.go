package attach

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/moby/sys/mountinfo"

	"cloister/internal/sys"
)

// place is a mount that gives way to another.
type place struct {
	*sys.FD                 // its root
	mount   *mountinfo.Info // nil if the namespace's table does not have it
	id      int
	attrs   sys.Attr
	// renew makes another like it, for one that can't be copied; nil if that can't be.
	renew func() (*sys.Tree, error)
	// substitute makes what takes its place out of a copy, which it uses up.
	substitute func(*sys.Tree) (*sys.Tree, error)
}

func (p *place) isKernels() bool { return p.mount != nil && isKernels(p.mount) }

// replace puts something in the place of the mount at a point, a path from the
// container's root. What is mounted on that mount is on its successor then, unless it is
// locked. prepare looks at the mount first.
func (w *worker) replace(point string, prepare func(*place) error) error {
	at := &place{}
	defer func() { _ = at.Close() }() // only a handle
	var base *sys.Tree
	err := w.inside(func(root *sys.FD) (err error) {
		if err := w.open(at, root, point); err != nil {
			return err
		}
		if err := prepare(at); err != nil {
			return err
		}
		base, err = sys.CloneTree(at.FD, false)
		if errors.Is(err, errLocked) && at.renew != nil {
			err = nil
		}
		return err
	})
	if err == nil && base == nil {
		base, err = at.renew()
	}
	if err != nil {
		return err
	}
	tree, err := at.substitute(base)
	if err != nil {
		return err
	}
	err = w.inside(func(root *sys.FD) error { return w.exchange(root, point, at, tree) })
	return errors.Join(err, tree.Close())
}

// errLocked is the kernel's answer to who unmounts what is locked, or copies a mount
// without others that are locked on it.
const errLocked = syscall.EINVAL

func (w *worker) open(at *place, root *sys.FD, point string) (err error) {
	if at.FD, err = sys.OpenBeneathPath(root, point); err != nil {
		return err
	}
	if at.id, err = at.MountID(); err != nil {
		return err
	}
	if at.attrs, err = at.MountAttrs(); err != nil {
		return err
	}
	all, err := w.mounts()
	if i := slices.IndexFunc(all, func(m *mountinfo.Info) bool { return m.ID == at.id }); i >= 0 {
		at.mount = all[i]
	}
	return err
}

// exchange does the replacement.
func (w *worker) exchange(root *sys.FD, point string, at *place, tree *sys.Tree) (err error) {
	now := &place{}
	defer func() { _ = now.Close() }()
	if err := w.open(now, root, point); err != nil {
		return err
	}
	if now.id != at.id {
		return errors.New("the mount there has changed meanwhile")
	}
	children, err := w.lift(root, point, at.id)
	defer func() {
		for _, c := range children {
			err = errors.Join(err, c.Close())
		}
	}()
	if err == nil {
		err = cover(root, point, at, tree)
	}
	return errors.Join(err, putBack(root, children))
}

// cover mounts the tree in place of the mount at point, or on it if that is locked.
func cover(root *sys.FD, point string, at *place, tree *sys.Tree) error {
	err := detachBeneath(root, point)
	if errors.Is(err, errLocked) {
		return tree.MoveOnto(at.FD)
	}
	if err != nil {
		return err
	}
	below, err := sys.OpenBeneathPath(root, point)
	if err != nil {
		return err
	}
	return errors.Join(tree.MoveOnto(below), below.Close())
}

// child is a copy of what was mounted on a mount.
type child struct {
	*sys.Tree
	point string
}

// maxChildren is how many are taken over: more are a container's own mischief.
const maxChildren = 256

// lift takes off what is mounted on a mount, the uppermost first, and leaves what is
// locked.
func (w *worker) lift(root *sys.FD, point string, id int) (children []child, err error) {
	all, err := w.mounts()
	if err != nil {
		return nil, err
	}
	var points []string
	for _, m := range all {
		p, below := w.point(m)
		if below && m.Parent == id && strings.HasPrefix(p, point+"/") {
			points = append(points, p)
		}
	}
	slices.Sort(points) // a directory before what it covers
	for _, p := range slices.Compact(points) {
		for {
			tree, err := liftOne(root, p, id)
			if err != nil {
				return children, fmt.Errorf("move what is mounted at /%s: %w", p, err)
			}
			if tree == nil {
				break
			}
			children = append(children, child{tree, p})
			if len(children) > maxChildren {
				return children, fmt.Errorf("more than %d mounts are on it", maxChildren)
			}
		}
	}
	return children, nil
}

// liftOne takes off the uppermost mount at a point, nil if there is none on the mount id
// that could be.
func liftOne(root *sys.FD, point string, id int) (*sys.Tree, error) {
	top, err := sys.OpenBeneathPath(root, point)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil // it was below another, which is off now
	}
	if err != nil {
		return nil, err
	}
	defer top.Close()
	if now, err := top.MountID(); err != nil || now == id {
		return nil, err
	}
	tree, err := sys.CloneTree(top, true)
	if err != nil {
		return nil, err
	}
	if err := detachBeneath(root, point); err != nil {
		err = errors.Join(err, tree.Close())
		if errors.Is(err, errLocked) {
			err = nil
		}
		return nil, err
	}
	return tree, nil
}

func putBack(root *sys.FD, children []child) error {
	for _, c := range slices.Backward(children) {
		target, err := sys.OpenBeneathPath(root, c.point)
		if err == nil {
			err = errors.Join(c.MoveOnto(target), target.Close())
		}
		if err != nil {
			return fmt.Errorf("mount /%s again: %w", c.point, err)
		}
	}
	return nil
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

// mounts returns the table of the calling thread's mount namespace.
func (w *worker) mounts() ([]*mountinfo.Info, error) {
	f, err := w.proc.Open("thread-self/mountinfo")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return mountinfo.GetMountsFromReader(f, nil)
}

// point returns where a mount is, as a path from the container's root, and whether it is
// below that.
func (w *worker) point(m *mountinfo.Info) (string, bool) {
	return strings.CutPrefix(m.Mountpoint, strings.TrimSuffix(w.real, "/")+"/")
}
