package cgroupview

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// dir is a cgroup in one hierarchy. It is opened when something in it is, and kept as
// long as that is likely to go on. Its identity is the number of its directory, of which no kernel
// makes two, so that another cgroup that takes its name later is never mistaken for it.
// One that is renamed while it is closed, as cgroup v1 allows, counts as gone.
type dir struct {
	path     string // with the mount point
	dev, ino uint64
	fd       int32 // O_PATH; -1 while closed
	files    int32 // below it that are open
	levels   int   // the cgroup and those ancestors that can carry limits; 0 for the root of the hierarchy
	top      bool  // the walk up ends at the root of the hierarchy, which carries none
	v2       bool
	absent   bool // a file of the cgroup itself was missing in the current read
	missed   bool // a file of it or above it was
}

// openDir opens the cgroup with the given path. It returns ErrGone if there is
// none.
func openDir(h *hierarchy, path string) (*dir, error) {
	rel, err := h.locate(path)
	if err != nil {
		return nil, err
	}
	d := &dir{path: filepath.Join(h.dir, rel), fd: -1, levels: depth(rel), top: h.top, v2: h.v2}
	if !h.top {
		d.levels++
	}
	return d, d.open()
}

// open makes sure that the descriptor is open.
func (d *dir) open() error {
	if d.fd >= 0 {
		return nil
	}
	fd, err := d.handle()
	if err == nil {
		d.fd = int32(fd)
	}
	return err
}

// handle returns a descriptor of the cgroup that is the caller's. It returns ErrGone if
// the cgroup has been removed.
func (d *dir) handle() (int, error) {
	fd, err := ignoreEINTR(func() (int, error) {
		return unix.Open(d.path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	})
	if errors.Is(err, unix.ENOENT) {
		err = ErrGone
	}
	if err == nil {
		if err = d.identify(fd); err != nil {
			unix.Close(fd)
		}
	}
	if err != nil {
		return -1, fmt.Errorf("open cgroup %s: %w", d.path, err)
	}
	return fd, nil
}

// identify takes the identity of the first cgroup that was opened, and refuses others.
func (d *dir) identify(fd int) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	dev, ino := uint64(st.Dev), st.Ino // int32 or uint32 elsewhere
	if d.ino == 0 {
		d.dev, d.ino = dev, ino
	}
	if d.dev != dev || d.ino != ino {
		return ErrGone
	}
	return nil
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
	if d.fd >= 0 {
		unix.Close(int(d.fd))
		d.fd = -1
	}
}

// gone reports whether the cgroup has been removed. cgroup.procs is the one
// file that every cgroup has.
func (d *dir) gone() bool {
	if err := d.open(); err != nil {
		return errors.Is(err, ErrGone)
	}
	return isGone(int(d.fd))
}

// isGone is gone for a descriptor.
func isGone(cgroup int) bool {
	var st unix.Stat_t
	return errors.Is(unix.Fstatat(cgroup, "cgroup.procs", &st, 0), unix.ENOENT)
}

// openat opens a file or directory for reading, by its path from a cgroup.
func openat(cgroup int, name string, flags int) (int, error) {
	return ignoreEINTR(func() (int, error) {
		return unix.Openat(cgroup, name, unix.O_RDONLY|unix.O_CLOEXEC|flags, 0)
	})
}

// file is a kernel file of a cgroup or of one of its ancestors. It is opened
// when it is first read and then kept.
type file struct {
	dir   *dir
	name  string
	level int32 // above dir
	fd    int32 // -1 while closed
}

func (d *dir) file(level int, name string) *file {
	return &file{dir: d, name: name, level: int32(level), fd: -1}
}

// below is the path from dir.
func (f *file) below() string { return strings.Repeat("../", int(f.level)) + f.name }

// read returns the content of the file with one pread into *buf, which grows as
// needed and is overwritten by the next read.
func (f *file) read(buf *[]byte) ([]byte, error) {
	for reopened := false; ; {
		if err := f.open(); err != nil {
			return nil, err
		}
		n, err := ignoreEINTR(func() (int, error) { return unix.Pread(int(f.fd), *buf, 0) })
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
	if err := f.dir.open(); err != nil {
		return err
	}
	fd, err := openat(int(f.dir.fd), f.below(), 0)
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENODEV):
		return f.missing()
	case err != nil:
		return fmt.Errorf("open %s: %w", f.path(), err)
	}
	f.fd = int32(fd)
	f.dir.files++
	return nil
}

// missing notes that the file is not there.
func (f *file) missing() error {
	f.dir.missed = true
	if f.level == 0 {
		f.dir.absent = true
	}
	return ErrAbsent
}

// close closes the file, which a later read opens again. A nil file is closed.
func (f *file) close() {
	if f != nil && f.fd >= 0 {
		unix.Close(int(f.fd))
		f.fd = -1
		f.dir.files--
	}
}

func (f *file) path() string { return f.dir.path + "/" + f.below() }

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
