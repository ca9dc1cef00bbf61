package daemon

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// maxDescendants bounds how many cgroups a container can have, as there are at most 65,535
// with a memory controller on the host. cgroup v1 knows no such bound.
const maxDescendants = "4096"

// delegatedFiles are what of a cgroup's files becomes the container's, besides the
// directory: those that move processes and, in the cgroup2 tree, pass controllers on to the
// cgroups below. The container's limits are not among them.
var delegatedFiles = []string{"cgroup.procs", "tasks", "cgroup.threads", "cgroup.subtree_control"}

// delegate lets a container's root make cgroups below the container's, in the hierarchies
// in which it has one of its own. Preconditions: c.mu is held, its init has not begun.
func (r *registry) delegate(c *container) error {
	if !c.Nesting {
		return nil
	}
	for _, dir := range r.views.layout.Dirs(c.Cgroups) {
		own, err := isOwnCgroup(dir, c.Init.PID)
		if err == nil && own {
			err = delegateCgroup(dir, int(c.IDs.Start))
		}
		if err != nil {
			return fmt.Errorf("delegate cgroup %s: %w", dir, err)
		}
	}
	return nil
}

// isOwnCgroup reports whether a process is alone in a cgroup and nothing is below: in a
// hierarchy that its runtime leaves alone it is still where the runtime is.
func isOwnCgroup(dir string, pid int) (bool, error) {
	procs, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	if errors.Is(err, unix.EOPNOTSUPP) {
		return false, nil // a threaded cgroup is a part of another one
	}
	if err != nil || !slices.Equal(strings.Fields(string(procs)), []string{strconv.Itoa(pid)}) {
		return false, err
	}
	below, err := cgroupsBelow(dir)
	return len(below) == 0, err
}

func delegateCgroup(dir string, uid int) error {
	limit := filepath.Join(dir, "cgroup.max.descendants")
	if _, err := os.Stat(limit); err == nil {
		if err := os.WriteFile(limit, []byte(maxDescendants), 0); err != nil {
			return err
		}
	}
	for _, name := range delegatedFiles {
		if err := ignoreMissing(os.Lchown(filepath.Join(dir, name), uid, uid)); err != nil {
			return err
		}
	}
	return os.Lchown(dir, uid, uid)
}

// cgroupsBelow returns the directories of the cgroups directly below another.
func cgroupsBelow(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	var below []string
	for _, e := range entries {
		if e.IsDir() {
			below = append(below, filepath.Join(dir, e.Name()))
		}
	}
	return below, err
}
