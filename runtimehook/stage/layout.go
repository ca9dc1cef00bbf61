package stage

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"cloister/internal/sys"
)

// MountPoint is where a runtime is going to mount something in a container.
type MountPoint struct {
	Path string // as the config has it
	Dir  bool   // it is a directory
	// Source is what will be there, if it is staged.
	Source string
	// CopyUp tells that it will be a copy of the directory that is there.
	CopyUp bool
}

// layout is a container's root file system with what will be mounted in it, as far as
// that is known before: what a runtime mounts first decides where the next goes.
type layout struct {
	root   *sys.FD
	mounts []covered
}

// covered is a place, without links, on which something will be mounted; nil is a file
// system with nothing in it.
type covered struct {
	path string
	top  *sys.FD
}

func (l *layout) close() error {
	var errs []error
	for _, c := range l.mounts {
		errs = append(errs, c.top.Close())
	}
	return errors.Join(errs...)
}

// add mounts something at a path without links.
func (l *layout) add(p *MountPoint, at string) (err error) {
	c := covered{path: at}
	switch {
	case p.Source != "":
		c.top, err = sys.OpenPath(p.Source)
	case p.CopyUp:
		c.top, err = l.open(at)
	}
	l.mounts = append(l.mounts, c)
	return err
}

// maxLinks is how many symbolic links a path may lead through, as in the kernel but for
// more: runtimes allow that too.
const maxLinks = 255

// resolve follows the links of a path, and returns it without. What is missing is a
// plain directory or file to be.
func (l *layout) resolve(path string) (at string, err error) {
	at = "/"
	todo := strings.Split(filepath.Clean("/"+path), "/")
	for links := 0; len(todo) > 0; {
		next := filepath.Join(at, todo[0]) // "" and ".." as well
		todo = todo[1:]
		target, err := l.readlink(next)
		if err != nil {
			return "", err
		}
		if target == "" {
			at = next
			continue
		}
		if links++; links > maxLinks {
			return "", &os.PathError{Op: "resolve", Path: path, Err: syscall.ELOOP}
		}
		if filepath.IsAbs(target) {
			at = "/"
		}
		todo = append(strings.Split(target, "/"), todo...)
	}
	return at, nil
}

// readlink returns where a link leads, "" if it is none.
func (l *layout) readlink(path string) (string, error) {
	f, err := l.open(path)
	if f == nil || err != nil {
		return "", err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil || !st.IsLink() {
		return "", err
	}
	return f.Readlink()
}

// open opens what is or will be at a path without links, nil if that is nothing.
func (l *layout) open(path string) (*sys.FD, error) {
	top, rest := l.root, path
	if c, inside := l.cover(path); c != nil {
		top, rest = c.top, inside
	}
	if top == nil {
		return nil, nil
	}
	f, err := sys.OpenBeneathPath(top, filepath.Join(".", rest))
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil, nil
	}
	return f, err
}

// cover returns the mount that a path is on, nil for the root file system, and the path
// from there.
func (l *layout) cover(path string) (on *covered, inside string) {
	for i := range l.mounts {
		c := &l.mounts[i]
		rest, below := strings.CutPrefix(path+"/", strings.TrimSuffix(c.path, "/")+"/")
		if below && (on == nil || len(c.path) >= len(on.path)) {
			on, inside = c, rest
		}
	}
	return on, inside
}
