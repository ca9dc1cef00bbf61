package mounter

import (
	"errors"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"cloister/internal/sys"
)

// start is where a lookup begins: path, from the directory dir; if path is empty, the
// file dir itself.
type start struct {
	dir  *sys.FD
	path string
}

// detour tells that a path leads through the links "self" or "thread-self" of a proc. To
// the kernel they mean who looks them up, which must be the caller.
type detour struct {
	thread bool
	rest   string // of the path, after the link
}

func (*detour) Error() string { return "the path leads through /proc/self" }

const (
	maxLinks   = 40 // MAXSYMLINKS
	procRootID = 1  // the number of the inode of a proc's root (PROC_ROOT_INO)
)

// lookup opens what a path leads to, in a stub that is what the caller is and that has
// the directory dir. A detour is returned as an error.
func lookup(stub *sys.Stub, dir int, path string) (int, error) {
	if path == "" {
		return dir, nil
	}
	fd, err := stub.OpenPath(dir, path, 0, sys.NoMagicLinks)
	if !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.ELOOP) {
		return fd, err
	}
	w := &walk{stub: stub, first: dir, at: dir, rest: path}
	for {
		more, err := w.step()
		if err != nil || !more {
			return w.at, err
		}
	}
}

// walk goes from one component of a path to the next. It finds what the kernel can't, and
// otherwise the same.
type walk struct {
	stub  *sys.Stub
	first int // where it has begun
	at    int
	rest  string
	links int
}

// step reports whether there is more to do.
func (w *walk) step() (more bool, err error) {
	if strings.HasPrefix(w.rest, "/") {
		if err := w.open("/", 0, 0); err != nil {
			return false, err
		}
		w.rest = strings.TrimLeft(w.rest, "/")
	}
	if w.rest == "" {
		return false, nil
	}
	name, after := next(w.rest)
	fd, err := w.stub.OpenPath(w.at, name, unix.O_NOFOLLOW, sys.NoMagicLinks)
	if err != nil {
		return false, err
	}
	st, _, err := w.stub.Stat(fd)
	if err != nil {
		return false, err
	}
	if st.Type() != unix.S_IFLNK {
		w.to(fd)
		w.rest = after
		return after != "", nil
	}
	return true, w.follow(fd, name, after)
}

// next splits the first component off. A path that ends with a slash ends with ".".
func next(path string) (name, rest string) {
	name, rest, slash := strings.Cut(path, "/")
	rest = strings.TrimLeft(rest, "/")
	if slash && rest == "" {
		rest = "."
	}
	if name == "." && rest == "." {
		rest = ""
	}
	return name, rest
}

// follow goes on from a symbolic link, which is open.
func (w *walk) follow(link int, name, after string) error {
	if w.links++; w.links > maxLinks {
		return unix.ELOOP
	}
	magic, flags, err := w.stub.StatFS(link)
	if err != nil {
		return err
	}
	if flags&sys.NoSymlinks != 0 {
		return unix.ELOOP
	}
	if magic == sys.ProcMagic {
		if err := w.isDetour(name, after); err != nil {
			return err
		}
		err := w.open(name, 0, sys.NoMagicLinks)
		if errors.Is(err, unix.ELOOP) {
			err = w.open(name, 0, 0) // the kernel knows whether the caller may
		}
		if !errors.Is(err, unix.ENOENT) {
			w.rest = after
			return err
		}
	}
	text, err := w.stub.Readlink(link)
	if err != nil {
		return err
	}
	w.stub.Forget(link)
	if text == "" {
		return unix.ENOENT
	}
	w.rest = text
	if after != "" {
		w.rest = text + "/" + after
	}
	return nil
}

func (w *walk) isDetour(name, after string) error {
	if name != "self" && name != "thread-self" {
		return nil
	}
	st, _, err := w.stub.Stat(w.at)
	if err != nil || st.Ino != procRootID {
		return err
	}
	return &detour{thread: name == "thread-self", rest: after}
}

func (w *walk) open(path string, flags int, resolve sys.Resolve) error {
	fd, err := w.stub.OpenPath(w.at, path, flags, resolve)
	if err == nil {
		w.to(fd)
	}
	return err
}

// to makes fd the place where the walk is.
func (w *walk) to(fd int) {
	if w.at != w.first {
		w.stub.Forget(w.at)
	}
	w.at = fd
}

// take opens what the caller means: a file that it has open, or its root or working
// directory, and returns where to go on. Other files of a process are no place for a
// mount.
func (d *detour) take(c *caller) (start, error) {
	dir := c.proc
	if !d.thread && c.tgid != c.tid {
		leader, err := sys.Open("/proc/"+strconv.Itoa(c.tgid), unix.O_PATH|unix.O_DIRECTORY)
		if err != nil {
			return start{}, err
		}
		defer leader.Close()
		dir = leader
	}
	name, rest := next(d.rest)
	switch name {
	case "root", "cwd":
	case "fd":
		var number string
		number, rest = next(rest)
		if _, err := strconv.ParseUint(number, 10, 31); err != nil {
			return start{}, unix.ENOENT
		}
		name += "/" + number
	default:
		return start{}, unix.ENOENT
	}
	at, err := dir.OpenAt(name, unix.O_PATH)
	return start{at, rest}, err
}
