package read

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"cloister/internal/sys"
)

// stage is a mount namespace with a tmpfs, in which each target has a directory with the
// files as bind mounts. It is gone when the process is, or all threads in it.
type stage struct {
	ns  *sys.Namespace
	dir string // the tmpfs
}

// sources say where the files of the targets are.
type sources struct {
	files []string
	pid   int    // of a process of the container
	lxcfs string // mount point of lxcfs, "" without it
}

// newStage makes a stage. It takes a thread that is thrown away.
func newStage(src sources) (*stage, error) {
	type made struct {
		*stage
		error
	}
	out := make(chan made)
	go func() {
		runtime.LockOSThread() // and ends with the goroutine
		s, err := build(src)
		out <- made{s, err}
	}()
	m := <-out
	return m.stage, m.error
}

func build(src sources) (_ *stage, err error) {
	container, err := sys.OpenPIDNamespace(src.pid, "mnt")
	if err != nil {
		return nil, fmt.Errorf("find the container's mounts: %w", err)
	}
	defer func() { err = errors.Join(err, container.Close()) }()
	if err := sys.UnshareMounts(); err != nil {
		return nil, err
	}
	if err := sys.MakeRecursiveSlave("/"); err != nil {
		return nil, err
	}
	var trees [targets][]*sys.Tree
	defer func() {
		for _, t := range slices.Concat(trees[:]...) {
			err = errors.Join(err, t.Close())
		}
	}()
	if trees[kernel], err = clone("/", src.files); err != nil {
		return nil, err
	}
	if src.lxcfs != "" {
		if trees[lxcfs], err = clone(src.lxcfs, src.files); err != nil {
			return nil, err
		}
	}
	err = sys.InMounts(container, func() (err error) {
		trees[cloister], err = clone("/", src.files)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("in the container: %w", err)
	}
	return furnish(trees, src.files)
}

// clone copies the mounts of the files below root.
func clone(root string, files []string) (all []*sys.Tree, err error) {
	for _, f := range files {
		t, err := sys.ClonePath(filepath.Join(root, f), false)
		if err != nil {
			return all, err
		}
		all = append(all, t)
	}
	return all, nil
}

// furnish puts the trees onto a tmpfs, where nothing of the host is hidden that a read
// needs.
func furnish(trees [targets][]*sys.Tree, files []string) (*stage, error) {
	s := &stage{dir: os.TempDir()}
	if err := sys.MountTmpfs(s.dir); err != nil {
		return nil, err
	}
	for target, all := range trees {
		if err := os.Mkdir(filepath.Join(s.dir, targetNames[target]), 0o755); err != nil {
			return nil, err
		}
		for i, t := range all {
			path := filepath.Join(s.dir, place(target, files[i]))
			if err := os.WriteFile(path, nil, 0o444); err != nil {
				return nil, err
			}
			if err := t.MoveTo(path); err != nil {
				return nil, err
			}
		}
	}
	if err := s.verify(trees, files); err != nil {
		return nil, err
	}
	var err error
	s.ns, err = sys.OpenThreadNamespace("mnt")
	return s, err
}

// place returns where a target's file is, seen from the tmpfs.
func place(target int, file string) string {
	return "/" + targetNames[target] + "/" + strings.ReplaceAll(strings.TrimPrefix(file, "/"), "/", "-")
}

// types are the file systems that the targets must be of: a view that is not attached
// would be compared with itself.
var types = [targets][]string{{"proc", "sysfs"}, {"fuse.cloister"}, {"fuse.lxcfs"}}

// verify makes sure that each file is the target's.
func (s *stage) verify(trees [targets][]*sys.Tree, files []string) error {
	f, err := os.Open("/proc/thread-self/mountinfo")
	if err != nil {
		return err
	}
	defer f.Close()
	mounts, err := mountinfo.GetMountsFromReader(f, nil)
	if err != nil {
		return err
	}
	is := map[string]string{}
	for _, m := range mounts {
		is[m.Mountpoint] = m.FSType
	}
	for target, all := range trees {
		for i := range all {
			got := is[filepath.Join(s.dir, place(target, files[i]))]
			if !slices.Contains(types[target], got) {
				return fmt.Errorf("the %s's %s is of %q and not of %s; leave it out with --files",
					targetNames[target], files[i], got, strings.Join(types[target], " or "))
			}
		}
	}
	return nil
}

// enter moves the calling thread, which must be locked and is not to be used for
// anything else, into the stage, with the tmpfs as its root.
func (s *stage) enter() error {
	if err := sys.UnshareFS(); err != nil {
		return err
	}
	if err := s.ns.Enter(sys.NewNS); err != nil {
		return err
	}
	return os.NewSyscallError("chroot", unix.Chroot(s.dir))
}

func (s *stage) close() error { return s.ns.Close() }
