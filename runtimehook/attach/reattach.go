package attach

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/moby/sys/mountinfo"

	"cloister/internal/sys"
)

// Reattach puts views over files of a running container that may still be covered
// by views of a daemon that is gone. init is a pidfd: the container may end at any
// time, and its number become another's. Like Attach, it leaves the calling thread
// in the container's mount namespace.
//
// What is mounted there is the container's choice, so this may take long.
func Reattach(init *sys.FD, v Views) (attached []string, err error) {
	proc, err := os.OpenRoot("/proc") // the container may have covered its own
	if err != nil {
		return nil, err
	}
	defer proc.Close()
	return v.attach(init, func(root *sys.FD, file string) error { return uncover(proc, root, file) })
}

// maxLayers is how many mounts are taken off a file. A daemon leaves one, which the
// next takes away: a pile of them is the container's own.
const maxLayers = 16

// uncover removes FUSE mounts from a file of the container's. It asks no server of
// theirs for anything: not even being killed frees a thread from one that has taken
// a request and does not answer it.
func uncover(proc *os.Root, root *sys.FD, file string) error {
	fuse, err := fuseMounts(proc)
	if err != nil {
		return err
	}
	for i, c := range file {
		if c != '/' {
			continue
		}
		id, err := mountAt(root, file[:i])
		if err != nil {
			return err
		}
		if fuse[id] {
			return fmt.Errorf("a FUSE mount is at /%s", file[:i])
		}
	}
	for range maxLayers {
		if id, err := mountAt(root, file); err != nil || !fuse[id] {
			return err
		}
		if err := detachBeneath(root, file); err != nil {
			return err
		}
	}
	if id, err := mountAt(root, file); err != nil || !fuse[id] {
		return err
	}
	return fmt.Errorf("more than %d FUSE mounts are on top of it", maxLayers)
}

// fuseMounts returns the ids of the FUSE mounts in the calling thread's mount
// namespace. proc is the host's.
func fuseMounts(proc *os.Root) (map[int]bool, error) {
	f, err := proc.Open("thread-self/mountinfo")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	fuse := map[int]bool{}
	_, err = mountinfo.GetMountsFromReader(f, func(m *mountinfo.Info) (skip, stop bool) {
		if strings.HasPrefix(m.FSType, "fuse") {
			fuse[m.ID] = true
		}
		return true, false
	})
	return fuse, err
}

// mountAt returns the id of the mount on top of a file.
func mountAt(root *sys.FD, file string) (int, error) {
	f, err := sys.OpenBeneathPath(root, file)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return f.MountID()
}

// detachBeneath unmounts what is on top of a file. umount(2) takes only a path, so
// the last element is looked up in its directory, made the working directory.
func detachBeneath(root *sys.FD, file string) error {
	dir, err := sys.OpenBeneathPath(root, filepath.Dir(file))
	if err != nil {
		return err
	}
	defer dir.Close()
	return sys.InDir(dir, func() error { return sys.Detach(filepath.Base(file)) })
}
