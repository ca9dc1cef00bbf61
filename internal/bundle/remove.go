package bundle

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Remove removes a bundle that nobody uses any more, with the root file system in
// it, or as much as it can until ctx is done. It leaves alone what is mounted there,
// and fails.
//
// What a container has made may be deeper than paths can be long and descriptors
// many. So no directory is removed from inside another one: it is moved up to the
// bundle first, unless it is empty, and at most two are open at a time.
func Remove(ctx context.Context, dir string) error {
	fd, err := unix.Open(dir, dirFlags, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return &os.PathError{Op: "open", Path: dir, Err: err}
	}
	r := &remover{ctx: ctx, bundle: os.NewFile(uintptr(fd), dir)}
	defer r.bundle.Close()
	if err := r.clear(r.bundle, r.removeDir); err != nil {
		return fmt.Errorf("remove bundle %s: %w", dir, err)
	}
	return os.Remove(dir)
}

const dirFlags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC

type remover struct {
	ctx    context.Context
	bundle *os.File
	moved  int // names that were tried for directories moved to the bundle
}

// namesAtOnce is how many names of a directory are read before they are removed.
const namesAtOnce = 1024

// clear removes all that is in dir, directories by calling subdir. It reads dir
// until it finds it empty, because names may be added, or be passed over since
// others go.
func (r *remover) clear(dir *os.File, subdir func(dir *os.File, name string) error) error {
	for empty := true; ; {
		names, err := dir.Readdirnames(namesAtOnce)
		for _, name := range names {
			if err := r.remove(dir, name, subdir); err != nil {
				return err
			}
		}
		empty = empty && len(names) == 0
		switch {
		case errors.Is(err, io.EOF) && empty:
			return nil
		case errors.Is(err, io.EOF):
			empty = true
			_, err = dir.Seek(0, io.SeekStart)
		}
		if err != nil {
			return err
		}
	}
}

func (r *remover) remove(dir *os.File, name string, subdir func(*os.File, string) error) error {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	err := unix.Unlinkat(int(dir.Fd()), name, 0)
	if errors.Is(err, unix.EISDIR) {
		return subdir(dir, name)
	}
	return failed("unlink", name, err)
}

// removeDir removes a directory that is directly in the bundle.
func (r *remover) removeDir(bundle *os.File, name string) error {
	fd, err := unix.Openat2(int(bundle.Fd()), name, &unix.OpenHow{Flags: dirFlags, Resolve: unix.RESOLVE_NO_XDEV})
	if err != nil {
		return failed("open", name, err)
	}
	dir := os.NewFile(uintptr(fd), name)
	err = r.clear(dir, r.moveUp)
	if err := errors.Join(err, dir.Close()); err != nil {
		return err
	}
	return failed("rmdir", name, unix.Unlinkat(int(bundle.Fd()), name, unix.AT_REMOVEDIR))
}

// moveUp removes a directory if it is empty, and else moves it to the bundle.
func (r *remover) moveUp(dir *os.File, name string) error {
	err := unix.Unlinkat(int(dir.Fd()), name, unix.AT_REMOVEDIR)
	for isTaken(err) {
		r.moved++
		err = unix.Renameat(int(dir.Fd()), name, int(r.bundle.Fd()), strconv.Itoa(r.moved))
	}
	return failed("move", name, err)
}

// isTaken says that a directory has entries, or that a name has a file already.
func isTaken(err error) bool {
	return errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, unix.EEXIST) || errors.Is(err, unix.ENOTDIR)
}

// failed adds what was done to an error. That somebody else has removed the file
// is none.
func failed(op, name string, err error) error {
	if err == nil || errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return &os.PathError{Op: op, Path: name, Err: err}
}
