package read

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"cloister/cgroupview"
)

// join moves this process into a cgroup, in every hierarchy, and returns what moves it
// back.
func join(layout *cgroupview.Layout, to cgroupview.Paths) (back func() error, err error) {
	from, err := layout.PathsOf(os.Getpid())
	if err != nil {
		return nil, err
	}
	back = func() error { return move(layout, from) }
	if err := move(layout, to); err != nil {
		return nil, errors.Join(fmt.Errorf("join the container's cgroup: %w", err), back())
	}
	return back, nil
}

func move(layout *cgroupview.Layout, to cgroupview.Paths) error {
	var errs []error
	for _, dir := range layout.Dirs(to) {
		errs = append(errs, os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte("0"), 0)) // the writer
	}
	return errors.Join(errs...)
}
