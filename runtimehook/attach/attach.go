package attach

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/moby/sys/mountinfo"

	"cloister/internal/sealed"
	"cloister/internal/sys"
)

// Container says what to attach to a container.
type Container struct {
	// Root is its root in its mount namespace: the path of its root file system before
	// the runtime has changed to it, "/" afterwards.
	Root string
	// Workshop is where its proc and sysfs are sealed, with what the plan has.
	Workshop sealed.Address
	Plan     sealed.Plan
	// Locked are mount points, but the root itself, whose mounts are to be read-only for
	// good.
	Locked []string
}

// Attached is what a container has got.
type Attached struct {
	// Views are the paths of its views below /proc and /sys: a file that the container's
	// kernel or config doesn't have is left out.
	Views []string
	// ProcReadOnly and SysReadOnly tell what /proc and /sys are.
	ProcReadOnly, SysReadOnly bool
}

// Attach replaces each proc and sysfs that the runtime has mounted for the container
// whose init is pid by a sealed one, and locks what is to be read-only.
//
// The calling thread must be locked.
func Attach(pid int, c *Container) (*Attached, error) {
	init, err := sys.OpenProcess(pid)
	if err != nil {
		return nil, fmt.Errorf("the container's init: %w", err)
	}
	defer init.Close()
	return inWorkshop(init, pid, c, func(w *worker) (*Attached, error) {
		if err := w.lockMounts(); err != nil {
			return nil, err
		}
		points, err := w.kernelMounts()
		if err != nil {
			return nil, err
		}
		done := &Attached{}
		for _, p := range points {
			has, err := w.seal(p)
			if err != nil {
				return nil, err
			}
			done.add(p, has)
		}
		return done, nil
	})
}

// Reattach gives a running container, whose views are of a daemon that is gone, newly
// sealed /proc and /sys. init is a pidfd of pid: the container may end at any time, and
// its number become another's. Other copies of its proc and sysfs stay as they are.
//
// What is mounted there is the container's choice, so this may take long. The calling
// thread must be locked.
func Reattach(init *sys.FD, pid int, c *Container) (*Attached, error) {
	return inWorkshop(init, pid, c, func(w *worker) (*Attached, error) {
		done := &Attached{}
		var failed []error // what is wrong with one leaves the other
		for _, p := range []string{"proc", "sys"} {
			has, err := w.seal(p)
			if err != nil && !errors.Is(err, errOther) {
				failed = append(failed, err)
			}
			done.add(p, has)
		}
		return done, errors.Join(failed...)
	})
}

// add notes what a mount point has got.
func (a *Attached) add(point string, s *seal) {
	switch {
	case s == nil:
		return
	case point == "proc":
		a.ProcReadOnly = s.readOnly
	case point == "sys":
		a.SysReadOnly = s.readOnly
	default:
		return // not one that is counted
	}
	a.Views = append(a.Views, s.views...)
}

// seal is what one sealed mount has.
type seal struct {
	views    []string
	readOnly bool
}

// worker does the work for one container.
type worker struct {
	*Container
	init     *sys.FD
	pids     *sys.Namespace // of init
	network  *sys.Namespace // of init
	proc     *os.Root       // the host's: a container may have covered its own
	workshop *sealed.Workshop
	real     string   // the root's path without links
	readOnly []string // points that are to be
}

func inWorkshop(init *sys.FD, pid int, c *Container, do func(*worker) (*Attached, error)) (done *Attached, err error) {
	if err := sys.UnshareFS(); err != nil {
		return nil, err
	}
	w := &worker{Container: c, init: init}
	if w.proc, err = os.OpenRoot("/proc"); err != nil {
		return nil, err
	}
	defer w.proc.Close()
	if w.workshop, err = sealed.Open(c.Workshop.PID, c.Workshop.LockedFD); err != nil {
		return nil, err
	}
	defer w.workshop.Close()
	if w.pids, err = sys.OpenPIDNamespace(pid, "pid"); err != nil {
		return nil, err
	}
	defer w.pids.Close()
	if w.network, err = sys.OpenPIDNamespace(pid, "net"); err != nil {
		return nil, err
	}
	defer w.network.Close()
	// The host's own proc must not be sealed, whoever is taken for a container.
	if same, err := sharesNamespace(pid, "mnt"); err != nil || same {
		return nil, errors.Join(err, fmt.Errorf("%w: process %d is among the host's mounts", ErrNotIsolated, pid))
	}
	// This fails if the process has ended by now, and its number may be another's.
	err = w.inside(func(root *sys.FD) (err error) {
		if w.real = c.Root; c.Root != "/" {
			w.real, err = root.RealPath()
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return do(w)
}

// inside calls f in the container's mount namespace.
func (w *worker) inside(f func(root *sys.FD) error) error {
	return sys.InMountsOf(w.init, func() error {
		root, err := sys.OpenPath(w.Root)
		if err != nil {
			return fmt.Errorf("the container's root: %w", err)
		}
		return errors.Join(f(root), root.Close())
	})
}

// kernelMounts returns where proc and sysfs are mounted below the container's root, as
// paths from there. Parts of them, as bind mounts show, are not meant.
func (w *worker) kernelMounts() (points []string, err error) {
	err = w.inside(func(*sys.FD) error {
		all, err := w.mounts()
		for _, m := range all {
			if point, below := w.point(m); below && isKernels(m) {
				points = append(points, point)
			}
		}
		return err
	})
	slices.Sort(points)
	if twice := slices.Compact(slices.Clone(points)); len(twice) != len(points) {
		return nil, fmt.Errorf("proc or sysfs is mounted more than once at the same place (one of %q); what is below stays naked, so the container's config must have only one", twice)
	}
	return points, err
}

// isKernels reports whether it is a proc or sysfs, and not a part of one.
func isKernels(m *mountinfo.Info) bool {
	return (m.FSType == "proc" || m.FSType == "sysfs") && m.Root == "/"
}

// errOther tells that something else is mounted where a proc or sysfs could be.
var errOther = errors.New("no proc or sysfs")

// seal replaces the proc or sysfs at a mount point; nil if the container has no file there.
func (w *worker) seal(point string) (*seal, error) {
	done := &seal{}
	err := w.replace(point, func(at *place) error {
		if !at.isKernels() {
			return errOther
		}
		fs := map[string]string{"proc": "proc", "sysfs": "sys"}[at.mount.FSType]
		if slices.Contains(w.readOnly, point) {
			at.attrs |= sys.ReadOnly
		}
		done.readOnly = at.attrs&sys.ReadOnly != 0
		at.renew = func() (*sys.Tree, error) { return w.renew(fs, at) }
		at.substitute = func(base *sys.Tree) (tree *sys.Tree, err error) {
			if err := base.Set(at.attrs, false); err != nil {
				return nil, errors.Join(err, base.Close())
			}
			tree, done.views, err = w.workshop.Seal(base, fs, &w.Plan)
			return tree, err
		}
		return nil
	})
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("/%s: %w", point, err)
	}
	return done, nil
}

// renew makes a proc or sysfs like one that can't be copied, because its views are
// locked.
func (w *worker) renew(fs string, at *place) (tree *sys.Tree, err error) {
	if fs == "proc" {
		return sys.NewProc(w.pids, at.attrs, options(at.mount.VFSOptions)...)
	}
	err = sys.InNetwork(w.network, func() (err error) { tree, err = sys.NewMount("sysfs", at.attrs); return err })
	return tree, err
}

// options returns those of a proc in mountinfo which a sealed one can have: the container
// may have made it one without a place for views (subset=pid) since.
func options(text string) (out [][2]string) {
	for o := range strings.SplitSeq(text, ",") {
		if name, value, ok := strings.Cut(o, "="); ok && (name == "hidepid" || name == "gid") {
			out = append(out, [2]string{name, value})
		}
	}
	return out
}
