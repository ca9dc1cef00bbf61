package stage

import (
	"errors"
	"fmt"
	"path/filepath"

	"cloister/internal/sys"
	"cloister/runtimehook/idrange"
)

// ReadOnlyRoot makes the staged root file system read-only, and has Seal lock it. What
// runtimes make in it before they do so themselves is made here, as the container's root
// would: the mount points, in the order of the mounts, and the working directory.
//
// A root in which a runtime has more to do is left to it: without a mount at /dev it
// makes devices there. So is one that lacks something of which the owner is not known yet.
func (a *Area) ReadOnlyRoot(points []MountPoint, dir string, ids idrange.Range) error {
	target := filepath.Join(a.dir, RootfsDir)
	root, err := sys.OpenPath(target)
	if err != nil {
		return err
	}
	defer root.Close()
	missing, hasDev, err := findMissing(root, append(points, MountPoint{Path: dir, Dir: true}))
	if err != nil {
		return err
	}
	if !hasDev || len(missing) > 0 && ids.Size == 0 {
		return nil
	}
	err = sys.AsFSUser(ids.Start, ids.Start, func() error {
		for _, p := range missing {
			if err := p.make(root); err != nil {
				return fmt.Errorf("make %s in the read-only root file system: %w", p.Path, err)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := root.SetMountAttrs(sys.ReadOnly); err != nil {
		return err
	}
	a.unsealed = append(a.unsealed, target)
	return nil
}

// findMissing returns what is missing of mount points in a root file system itself, with
// paths that have no links, and whether one of them is /dev.
func findMissing(root *sys.FD, points []MountPoint) (missing []MountPoint, hasDev bool, err error) {
	l := &layout{root: root}
	defer func() { err = errors.Join(err, l.close()) }()
	for i := range points {
		p := &points[i]
		at, err := l.resolve(p.Path)
		if err != nil {
			return nil, false, fmt.Errorf("%s: %w", p.Path, err)
		}
		if on, _ := l.cover(at); on == nil {
			there, err := l.open(at)
			if err != nil {
				return nil, false, fmt.Errorf("%s: %w", p.Path, err)
			}
			if there == nil {
				missing = append(missing, MountPoint{Path: at, Dir: p.Dir})
			}
			if err := there.Close(); err != nil {
				return nil, false, err
			}
		}
		if err := l.add(p, at); err != nil {
			return nil, false, fmt.Errorf("%s: %w", p.Path, err)
		}
	}
	dev, err := l.resolve("/dev")
	if err != nil {
		return nil, false, err
	}
	on, _ := l.cover(dev)
	return missing, on != nil, nil
}

// make makes the mount point, if it was not made on the way to another.
func (p *MountPoint) make(root *sys.FD) error {
	dir := p.Path
	if !p.Dir {
		dir = filepath.Dir(dir)
	}
	if err := sys.MkdirAllInRoot(root, dir, 0o755); err != nil || p.Dir {
		return err
	}
	return sys.CreateInRoot(root, p.Path, 0o755)
}
