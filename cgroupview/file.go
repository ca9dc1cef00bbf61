package cgroupview

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// dir is a cgroup in one hierarchy. Its descriptor is O_PATH: it keeps the
// identity of the cgroup, so that another one that takes its name later is
// never mistaken for it.
type dir struct {
	fd     int
	path   string // for messages
	levels int    // the cgroup and those ancestors that can carry limits; 0 for the root of the hierarchy
	top    bool   // the walk up ends at the root of the hierarchy, which carries none
	v2     bool
	absent bool // a file of the cgroup itself was missing in the current read
}

// openDir opens the cgroup with the given path. It returns ErrGone if there is
// none.
func openDir(h *hierarchy, path string) (*dir, error) {
	rel, err := h.locate(path)
	if err != nil {
		return nil, err
	}
	d := &dir{path: filepath.Join(h.dir, rel), levels: depth(rel), top: h.top, v2: h.v2}
	if !h.top {
		d.levels++
	}
	d.fd, err = ignoreEINTR(func() (int, error) {
		return unix.Open(d.path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	})
	if errors.Is(err, unix.ENOENT) {
		err = ErrGone
	}
	if err != nil {
		return nil, fmt.Errorf("open cgroup %s: %w", d.path, err)
	}
	return d, nil
}

func depth(rel string) int {
	if rel == "." {
		return 0
	}
	return strings.Count(rel, "/") + 1
}

// own reports whether the cgroup is one of its own, rather than the root of the
// hierarchy, whose usage is the host's.
func (d *dir) own() bool { return d.levels > 0 }

func (d *dir) close() {
	unix.Close(d.fd)
	d.fd = -1
}

// gone reports whether the cgroup has been removed. cgroup.procs is the one
// file that every cgroup has.
func (d *dir) gone() bool {
	var st unix.Stat_t
	return errors.Is(unix.Fstatat(d.fd, "cgroup.procs", &st, 0), unix.ENOENT)
}

// openat opens a file or directory for reading, by its path from the cgroup.
func (d *dir) openat(name string, flags int) (int, error) {
	return ignoreEINTR(func() (int, error) {
		return unix.Openat(d.fd, name, unix.O_RDONLY|unix.O_CLOEXEC|flags, 0)
	})
}

// file is a kernel file of a cgroup or of one of its ancestors. It is opened
// when it is first read and then kept.
type file struct {
	dir   *dir
	name  string // below dir, "../" for each level up
	level int
	fd    int // -1 while closed
}

func (d *dir) file(level int, name string) *file {
	return &file{dir: d, name: strings.Repeat("../", level) + name, level: level, fd: -1}
}

// read returns the content of the file with one pread into *buf, which grows as
// needed and is overwritten by the next read.
func (f *file) read(buf *[]byte) ([]byte, error) {
	for reopened := false; ; {
		if err := f.open(); err != nil {
			return nil, err
		}
		n, err := ignoreEINTR(func() (int, error) { return unix.Pread(f.fd, *buf, 0) })
		switch {
		case errors.Is(err, unix.ENODEV):
			// The controller was switched off behind our descriptor, or the
			// cgroup removed. The former may have been undone since.
			f.close()
			if reopened {
				return nil, f.missing()
			}
			reopened = true
		case err != nil:
			return nil, fmt.Errorf("read %s: %w", f.path(), err)
		case n == len(*buf):
			*buf = make([]byte, 2*len(*buf))
		default:
			return (*buf)[:n], nil
		}
	}
}

func (f *file) open() error {
	if f.fd >= 0 {
		return nil
	}
	fd, err := f.dir.openat(f.name, 0)
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENODEV):
		return f.missing()
	case err != nil:
		return fmt.Errorf("open %s: %w", f.path(), err)
	}
	f.fd = fd
	return nil
}

// missing notes that the file is not there.
func (f *file) missing() error {
	if f.level == 0 {
		f.dir.absent = true
	}
	return ErrAbsent
}

// close closes the file, which a later read opens again. A nil file is closed.
func (f *file) close() {
	if f != nil && f.fd >= 0 {
		unix.Close(f.fd)
		f.fd = -1
	}
}

func (f *file) path() string { return f.dir.path + "/" + f.name }

// parse reads the file and hands its content to parse. It reports false, and no
// error, if the kernel offers no such file.
func (f *file) parse(buf *[]byte, parse func([]byte) error) (bool, error) {
	b, err := f.read(buf)
	if errors.Is(err, ErrAbsent) {
		return false, nil
	}
	if err == nil {
		if err = parse(b); err != nil {
			err = fmt.Errorf("parse %s: %w", f.path(), err)
		}
	}
	return err == nil, err
}

// orGone turns the answer of parse into ErrGone if the file is not there because
// the cgroup is not.
func (f *file) orGone(ok bool, err error) error {
	if err == nil && !ok && f.dir.gone() {
		return fmt.Errorf("read %s: %w", f.path(), ErrGone)
	}
	return err
}

// limit reads a file that holds one limit or one counter.
func (f *file) limit(buf *[]byte) (v uint64, ok bool, err error) {
	ok, err = f.parse(buf, func(b []byte) (err error) {
		v, err = parseLimit(b)
		return err
	})
	return v, ok, err
}

func ignoreEINTR(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}
