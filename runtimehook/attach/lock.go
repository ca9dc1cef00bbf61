package attach

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"cloister/internal/sys"
)

// lockMounts makes the mounts at w.Locked read-only, and has the kernel keep them so: at
// once, or, if it is a proc or sysfs, when that is sealed.
func (w *worker) lockMounts() error {
	var points []string
	for _, path := range w.Locked {
		found, err := w.lockable(path)
		if err != nil {
			return fmt.Errorf("read-only mount at %s: %w", path, err)
		}
		points = append(points, found...)
	}
	slices.SortFunc(points, func(a, b string) int { return strings.Compare(b, a) }) // what is on a mount before it
	w.readOnly = slices.Compact(points)
	for _, point := range w.readOnly {
		err := w.replace(point, func(at *place) error {
			if at.isKernels() {
				return errSealedLater
			}
			at.substitute = func(base *sys.Tree) (*sys.Tree, error) {
				if err := base.Set(sys.ReadOnly, false); err != nil {
					return nil, errors.Join(err, base.Close())
				}
				return w.workshop.Lock(base)
			}
			return nil
		})
		if err != nil && !errors.Is(err, errSealedLater) {
			return fmt.Errorf("lock read-only mount at /%s: %w", point, err)
		}
	}
	return nil
}

var errSealedLater = errors.New("it is sealed later")

// lockable returns the mount at a path of the container, if there is one, and those on
// it that are read-only: that the runtime has made so, or that belong to cgroups, which it
// mounts as one.
func (w *worker) lockable(path string) (points []string, err error) {
	err = w.inside(func(root *sys.FD) error {
		f, err := sys.OpenInRoot(root, path)
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		defer f.Close()
		at, err := f.RealPath()
		if err != nil {
			return err
		}
		all, err := w.mounts()
		for _, m := range all {
			point, below := w.point(m)
			readOnly := slices.Contains(strings.Split(m.Options, ","), "ro") || m.FSType == "cgroup"
			if below && (m.Mountpoint == at || readOnly && strings.HasPrefix(m.Mountpoint, at+"/")) {
				points = append(points, point)
			}
		}
		return err
	})
	return points, err
}
