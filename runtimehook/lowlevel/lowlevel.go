// Package lowlevel finds the low-level runtime, runc or crun, that cloister hands
// containers to.
package lowlevel

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// ErrNone is returned when no runtime is installed.
var ErrNone = errors.New("no low-level runtime found")

// Search returns the path of the first runtime of a list, by name or path, that is
// installed. Cloister itself, under whatever name, is never one.
func Search(names []string) (string, error) {
	for _, name := range names {
		path, err := lookPath(name)
		if err != nil || isSelf(path) {
			continue
		}
		return filepath.Abs(path)
	}
	return "", fmt.Errorf("%w: looked for %v; install runc or crun, or name another in cloister.runtimes of the settings", ErrNone, names)
}

// lookPath looks for a program where a root shell does if there is no PATH: conmon
// calls a runtime without an environment.
func lookPath(name string) (string, error) {
	if os.Getenv("PATH") != "" || filepath.Base(name) != name {
		return exec.LookPath(name)
	}
	for _, dir := range []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"} {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path, nil
		}
	}
	return "", exec.ErrNotFound
}

// isSelf reports whether path is this program. One that can't be looked at is
// taken for it.
func isSelf(path string) bool {
	self, err := os.Stat("/proc/self/exe")
	if err != nil {
		return true
	}
	info, err := os.Stat(path)
	return err != nil || os.SameFile(self, info)
}

const link = "runtime"

// Publish leaves a link to the runtime in the run directory, where Find looks. It
// stays when the daemon stops: containers must be stopped and deleted by the
// runtime that started them.
func Publish(runDir, path string) error {
	temp := filepath.Join(runDir, link+".new")
	if err := os.Remove(temp); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.Symlink(path, temp); err != nil {
		return err
	}
	return os.Rename(temp, filepath.Join(runDir, link))
}

// Find returns the runtime to use: the given one, else the daemon's, else whatever
// is installed.
func Find(given, runDir string) (string, error) {
	if given == "" {
		given, _ = os.Readlink(filepath.Join(runDir, link)) // none is published before the first daemon
	}
	names := installed
	if given != "" {
		names = []string{given}
	}
	return Search(names)
}

// installed are the runtimes that are looked for where nobody names one.
var installed = []string{"runc", "crun"}

// FindFor returns the runtime for a command on a container that exists, whose id is
// among args. Usually that is the one that Find returns; but an engine may pass on
// the choice of a runtime with one command and not with the next (podman's cleanup
// does not), and another one would not know the container.
func FindFor(args []string, given, root, runDir string) (string, error) {
	path, err := Find(given, runDir)
	if err != nil || knowsAny(path, root, args) {
		return path, err
	}
	for _, name := range installed {
		if other, err := Search([]string{name}); err == nil && knowsAny(other, root, args) {
			return other, nil
		}
	}
	return path, nil
}

func knowsAny(runtime, root string, ids []string) bool {
	return slices.ContainsFunc(ids, func(id string) bool { return Knows(runtime, root, id) })
}

// Knows reports whether a runtime has a container in its books, so that it can be
// told to delete it. root is where the runtime keeps its containers, "" for its
// default.
func Knows(runtime, root, id string) bool {
	name := filepath.Base(runtime)
	file := "state.json" // runc's
	if strings.Contains(name, "crun") {
		file = "status"
	}
	if root == "" {
		root = filepath.Join("/run", name)
	}
	if id == "" || id != filepath.Base(id) {
		return false
	}
	_, err := os.Lstat(filepath.Join(root, id, file))
	return err == nil
}
