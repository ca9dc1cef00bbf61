package stage

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"cloister/internal/sys"
	"cloister/runtimehook/hostpath"
)

// volumesName is the directory of a container's implicit volumes beside the upper layer
// of its root file system: what is there stays when the container stops, and the engine
// removes it with the container.
const volumesName = "volumes.cloister"

// Volumes are the directories that a container gets where an engine in it keeps its own
// files: an overlay can't have its upper layer on the container's root file system, which
// is an overlay itself.
type Volumes struct {
	Root *hostpath.File // the container's root file system
	// UpperDir is its upper layer, "" if it has none of its own.
	UpperDir string
	// Dir takes the volumes then. It ends with the registration.
	Dir string
	// Owner is whom they belong to on disk.
	Owner uint32
}

// Volume stages the volume at path (absolute, clean) in the container, under a name in the
// area. It returns "" if there is none, as the image has something there, or a container
// that has run before has made a link of its place: a runtime would follow that, to /dev or
// into proc, where what a container has written must not be.
func (a *Area) Volume(v *Volumes, path, name string) (source string, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("implicit volume at %s: %w", path, err)
		}
	}()
	dir := v.dir(path)
	isDir, free, err := look(v.Root.FD, path)
	if err != nil || !isDir {
		return "", err
	}
	if _, err := os.Lstat(dir); err != nil && !free {
		return "", nil
	}
	if err := makeVolume(dir, v.Owner); err != nil {
		return "", err
	}
	f, err := a.mounts.Open(dir)
	if err != nil {
		return "", err
	}
	defer f.Close()
	return a.stageBind(name, Bind{Source: f})
}

func (v *Volumes) dir(path string) string {
	parent := v.Dir
	if v.UpperDir != "" {
		parent = filepath.Join(filepath.Dir(v.UpperDir), volumesName)
	}
	return filepath.Join(parent, strings.ReplaceAll(strings.Trim(path, "/"), "/", "-"))
}

// makeVolume makes the directory of a volume, if it is not there from an earlier run.
func makeVolume(dir string, owner uint32) error {
	if err := os.Mkdir(filepath.Dir(dir), 0o711); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	if err := os.Mkdir(dir, 0o711); err != nil {
		if errors.Is(err, os.ErrExist) {
			return nil
		}
		return err
	}
	return os.Chown(dir, int(owner), int(owner))
}

// look reports whether a root file system has a directory at path or can be given one, and
// whether nothing is in it. Where a symbolic link is on the way it has none: where a mount
// there would be is not known.
func look(root *sys.FD, path string) (isDir, free bool, err error) {
	dir, err := sys.OpenBeneathPath(root, strings.Trim(path, "/"))
	switch {
	case errors.Is(err, os.ErrNotExist):
		return true, true, nil
	case err != nil:
		return false, false, nil
	}
	defer dir.Close()
	st, err := dir.Stat()
	if err != nil || !st.IsDir() {
		return false, false, err
	}
	list, err := os.Open(dir.ProcPath())
	if err != nil {
		return false, false, err
	}
	defer list.Close()
	_, err = list.Readdirnames(1)
	if errors.Is(err, io.EOF) {
		return true, true, nil
	}
	return true, false, err
}
