package sealed

import (
	"errors"
	"fmt"
	"os"

	"cloister/internal/sys"
)

// Where things are in the workshop's mount namespaces. Both have a root of their own.
const (
	locksDir = "/locks" // a file for each place, locked as long as somebody works there
	buildDir = "/build" // trees that are put together
	stageDir = "/stage" // what is mounted here arrives, locked, in the other namespace
	keptDir  = "/kept"  // trees that are kept, in the locked namespace alone
	emptyDir = "/empty" // in place of a masked directory
	nullFile = "/dev/null"
)

// Workshop is where trees are sealed: a mount namespace in which they are put together,
// and one of another user namespace, where what arrives from there is locked. Its
// methods must be called on locked threads that share their working directory with no
// others (sys.UnshareFS), and may be called on several at a time.
type Workshop struct{ build, locked *sys.Namespace }

// Build makes a workshop that has the sources of views below viewsDirs, as they are
// now. It leaves the calling thread, which must be locked, in the namespace for
// putting together. The workshop is there as long as that thread or w is.
func Build(viewsDirs []string) (w *Workshop, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("make a workshop for mounts: %w", err)
		}
	}()
	if err := errors.Join(sys.UnshareMounts(), sys.MakeRecursiveSlave("/")); err != nil {
		return nil, err
	}
	trees, err := furniture(viewsDirs)
	defer func() {
		for _, t := range trees {
			err = errors.Join(err, t.Close())
		}
	}()
	if err != nil {
		return nil, err
	}
	root, err := sys.NewMount("tmpfs", sys.NoSUID|sys.NoDev|sys.NoExec, [2]string{"mode", "0700"})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	// It is mounted where every host has a directory.
	if err := errors.Join(root.MoveTo("/proc"), sys.ChangeRoot("/proc")); err != nil {
		return nil, err
	}
	if err := furnish(trees); err != nil {
		return nil, err
	}
	w = &Workshop{}
	if w.build, err = sys.OpenThreadNamespace("mnt"); err != nil {
		return nil, err
	}
	if w.locked, err = sys.NewLockedMounts(); err != nil {
		return nil, errors.Join(err, w.build.Close())
	}
	return w, nil
}

// furniture copies, by path, what the workshop needs of the host's mounts.
func furniture(viewsDirs []string) (map[string]*sys.Tree, error) {
	trees := map[string]*sys.Tree{}
	null, err := openNull()
	if err != nil {
		return nil, err
	}
	defer null.Close()
	if trees[nullFile], err = sys.CloneTree(null, false); err != nil {
		return nil, err
	}
	for _, dir := range append([]string{"/proc"}, viewsDirs...) {
		tree, err := sys.ClonePath(dir, true)
		if err != nil {
			return trees, err
		}
		trees[dir] = tree
	}
	for _, tree := range trees {
		if err := tree.MakePrivate(); err != nil {
			return trees, err
		}
	}
	return trees, nil
}

// openNull opens the null device, which masks files.
func openNull() (*sys.FD, error) {
	null, err := sys.OpenPath(nullFile)
	if err != nil {
		return nil, err
	}
	st, err := null.Stat()
	if err == nil {
		if major, minor := st.Device(); !st.IsDevice() || st.IsBlockDevice() || major != 1 || minor != 3 {
			err = fmt.Errorf("%s is not the null device; make it again with `mknod -m 666 %[1]s c 1 3`", nullFile)
		}
	}
	if err != nil {
		return nil, errors.Join(err, null.Close())
	}
	return null, nil
}

// furnish makes the directories below the new root and mounts what belongs there.
func furnish(trees map[string]*sys.Tree) error {
	for _, dir := range []string{locksDir, buildDir, stageDir, keptDir, emptyDir, "/dev"} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
	}
	if err := os.WriteFile(nullFile, nil, 0o600); err != nil {
		return err
	}
	for path, tree := range trees {
		if path != nullFile {
			if err := os.MkdirAll(path, 0o700); err != nil {
				return err
			}
		}
		if err := tree.MoveTo(path); err != nil {
			return err
		}
	}
	empty, err := sys.NewMount("tmpfs", sys.ReadOnly|sys.NoSUID|sys.NoDev|sys.NoExec, [2]string{"mode", "0755"})
	if err != nil {
		return err
	}
	defer empty.Close()
	return errors.Join(empty.MoveTo(emptyDir), sys.MountTmpfs(stageDir), sys.MakeShared(stageDir))
}

// ErrGone tells that the process which keeps a workshop has ended.
var ErrGone = errors.New("the process with the workshop for mounts is gone")

// Address is where the workshop of another process is found.
type Address struct {
	// PID is the process. Its main thread has built the workshop.
	PID int `json:"pid"`
	// LockedFD is what LockedFD returns there.
	LockedFD int `json:"lockedFd"`
}

// Open opens the workshop of another process, of which Address tells.
func Open(pid, lockedFD int) (w *Workshop, err error) {
	w = &Workshop{}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.Close())
			w = nil
		}
	}()
	if w.build, err = openNamespace("/proc/%d/ns/mnt", pid); err != nil {
		return w, err
	}
	if w.locked, err = openNamespace("/proc/%d/fd/%d", pid, lockedFD); err != nil {
		return w, err
	}
	return w, w.verify()
}

func openNamespace(format string, args ...any) (*sys.Namespace, error) {
	ns, err := sys.OpenNamespace(fmt.Sprintf(format, args...))
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%w: %w", ErrGone, err)
	}
	return ns, err
}

// verify makes sure that these are the namespaces of a workshop, and not those of a
// process to which the number has gone since.
func (w *Workshop) verify() error {
	user, err := sys.OpenThreadNamespace("user")
	if err != nil {
		return err
	}
	defer user.Close()
	mnt, err := sys.OpenThreadNamespace("mnt")
	if err != nil {
		return err
	}
	defer mnt.Close()
	builder, err := w.build.Owner()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrGone, err)
	}
	defer builder.Close()
	locker, err := w.locked.Owner()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrGone, err)
	}
	defer locker.Close()
	if builder.ID() != user.ID() || locker.ID() == user.ID() || w.build.ID() == mnt.ID() {
		return fmt.Errorf("%w: another process has its number", ErrGone)
	}
	return nil
}

// LockedFD is the descriptor by which Open finds the locked namespace.
func (w *Workshop) LockedFD() int { return w.locked.Int() }

// Close gives the workshop back.
func (w *Workshop) Close() error {
	var errs []error
	for _, ns := range []*sys.Namespace{w.build, w.locked} {
		if ns != nil {
			errs = append(errs, ns.Close())
		}
	}
	return errors.Join(errs...)
}
