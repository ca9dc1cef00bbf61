package cgroupview

import (
	"errors"
	"fmt"
	"runtime"
	"slices"

	"golang.org/x/sys/unix"

	"cloister/internal/sys"
)

// pressureResources are what the kernel accounts pressure stall information (PSI)
// of. irq needs Linux 6.1 and CONFIG_IRQ_TIME_ACCOUNTING.
var pressureResources = []string{"cpu", "memory", "io", "irq"}

// pressureReader reads the pressure files, which every cgroup of the cgroup2 tree
// but the root has, whatever controllers are on.
type pressureReader struct {
	dir   *dir
	files []*file // by pressureResources
}

func newPressureReader(d *dir) *pressureReader {
	r := &pressureReader{dir: d}
	for _, resource := range pressureResources {
		r.files = append(r.files, d.file(0, resource+".pressure"))
	}
	return r
}

// openPressure opens the cgroup in the cgroup2 tree for its pressure files. The
// root's would be the host's.
func (g *Group) openPressure(open map[*hierarchy]*dir, l *Layout, p Paths) error {
	if l.v2 == nil || open[l.v2] == nil && !l.ownUnified(p) {
		return nil
	}
	d, err := g.openDir(open, l.v2, p.Unified)
	if errors.Is(err, ErrGone) {
		return nil // not every runtime makes a cgroup in a tree without controllers
	}
	if err == nil && d.own() {
		g.pressure = newPressureReader(d)
	}
	return err
}

// ownUnified reports whether the path in a cgroup2 tree without controllers is that
// of the same cgroup as elsewhere. Where the runtime has made none there, the
// container has stayed in that of its engine, with every other container.
func (l *Layout) ownUnified(p Paths) bool {
	rel, err := l.v2.locate(p.Unified)
	if err != nil || rel == "." {
		return false
	}
	for _, c := range controllers {
		if h, path := l.find(c.v1, p); h != nil && path == p.Unified {
			return true
		}
	}
	return false
}

// Pressure appends the content of RESOURCE.pressure of the cgroup to dst, as it is
// and after a check of its format; resource is "cpu", "memory", "io" or "irq". It
// reports false if there is none: the kernel does not account it, or the cgroup is
// not, or is the root, in the cgroup2 tree. Pressure returns ErrGone if the cgroup
// has been removed.
func (g *Group) Pressure(dst []byte, resource string) ([]byte, bool, error) {
	f, err := g.pressure.file(resource)
	if f == nil {
		return dst, false, err
	}
	buf := g.buffers.take()
	defer g.buffers.give(buf)
	ok, err := f.parse(buf, func(text []byte) error {
		if err := checkPressure(text); err != nil {
			return err
		}
		dst = append(dst, text...)
		return nil
	})
	if errors.Is(err, unix.EOPNOTSUPP) { // psi=0 on the kernel command line
		return dst, false, nil
	}
	return dst, ok, f.orGone(ok, err)
}

// OpenPressure opens RESOURCE.pressure of the cgroup anew, for reading and
// writing: what is written is a trigger, which lasts as long as the descriptor.
// It returns ErrAbsent where Pressure reports false, and ErrGone as Pressure does.
// It needs no exclusive use of the Group.
func (g *Group) OpenPressure(resource string) (*sys.FD, error) {
	f, err := g.pressure.file(resource)
	if err != nil {
		return nil, err
	}
	if f == nil {
		return nil, fmt.Errorf("open %s pressure: %w", resource, ErrAbsent)
	}
	cgroup, err := f.dir.handle()
	if err != nil {
		return nil, err
	}
	defer unix.Close(cgroup)
	fd, err := openForTrigger(cgroup, f.name)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENODEV) {
		if err = ErrAbsent; isGone(cgroup) {
			err = ErrGone
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", f.path(), err)
	}
	return sys.NewFD(fd), nil
}

// openForTrigger opens a file as somebody without CAP_SYS_RESOURCE: for the triggers
// of others the kernel starts a real-time thread for each cgroup (psi_trigger_create in
// kernel/sched/psi.c). From Linux 5.13 to 6.3 nobody else may write to the file.
func openForTrigger(cgroup int, name string) (fd int, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	open := func() (err error) {
		fd, err = openat(cgroup, name, unix.O_RDWR)
		return err
	}
	if err = sys.WithoutCapability(unix.CAP_SYS_RESOURCE, open); errors.Is(err, unix.EPERM) {
		err = open()
	}
	return fd, err
}

// file returns nil if the cgroup has no pressure of its own.
func (r *pressureReader) file(resource string) (*file, error) {
	i := slices.Index(pressureResources, resource)
	if i < 0 {
		return nil, fmt.Errorf("pressure of %q: no such resource", resource)
	}
	if r == nil {
		return nil, nil
	}
	return r.files[i], nil
}

func (r *pressureReader) close() {
	if r == nil {
		return
	}
	for _, f := range r.files {
		f.close()
	}
}
