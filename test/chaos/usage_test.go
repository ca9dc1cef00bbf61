//go:build chaos

package chaos

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// usage is what must not grow.
type usage struct {
	keeperFDs, workerFDs         map[string]int // by what they are of
	keeperThreads, workerThreads int
	mounts, containerMounts      int
	slots                        int
	ids                          uint64
	dirs                         map[string]int // how many entries
}

// measure finds out what the daemon uses. The container is one that stays.
func (w *world) measure(c *container) (*usage, error) {
	status, err := w.Client.Status()
	if err != nil {
		return nil, err
	}
	u := &usage{slots: status.Containers, ids: status.IDRegion.Used, dirs: map[string]int{}}
	u.keeperFDs, u.keeperThreads = fds(status.PID), entries("/proc/%d/task", status.PID)
	u.workerFDs, u.workerThreads = fds(status.WorkerPID), entries("/proc/%d/task", status.WorkerPID)
	u.mounts, u.containerMounts = mounts(os.Getpid()), mounts(c.PID)
	for _, dir := range []string{"run/containers", "state/containers", "run/views/exact", "run/views/pushed", "run/views/writable", "runc"} {
		u.dirs[dir] = entries("%s", filepath.Join(w.Dir, dir))
	}
	return u, nil
}

func entries(format string, args ...any) int {
	all, err := os.ReadDir(fmt.Sprintf(format, args...))
	if err != nil {
		return -1
	}
	return len(all)
}

func mounts(pid int) int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", pid))
	if err != nil {
		return -1
	}
	return strings.Count(string(text), "\n")
}

var digits = regexp.MustCompile(`[0-9a-f]*[0-9][0-9a-f]*`)

// fds counts the descriptors of a process by what they are of, numbers aside.
func fds(pid int) map[string]int {
	count := map[string]int{}
	all, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	for _, path := range all {
		if target, err := os.Readlink(path); err == nil {
			count[digits.ReplaceAllString(target, "N")]++
		}
	}
	return count
}

func total(count map[string]int) (n int) {
	for _, c := range count {
		n += c
	}
	return n
}

// Descriptors and threads of a moment: connections to the control socket, files that
// several have opened at once, and what the Go runtime has started for readers that all
// waited for the same worker.
const (
	spareFDs     = 12
	spareThreads = 16
)

// grown says what is more than before.
func (u *usage) grown(before *usage) error {
	var errs []error
	more := func(what string, before, now, spare int) {
		if now > before+spare {
			errs = append(errs, fmt.Errorf("%s: %d, before %d", what, now, before))
		}
	}
	more("the keeper's threads", before.keeperThreads, u.keeperThreads, spareThreads)
	more("the worker's threads", before.workerThreads, u.workerThreads, spareThreads)
	more("mounts", before.mounts, u.mounts, 0)
	more("mounts of a container", before.containerMounts, u.containerMounts, 0)
	more("slots", before.slots, u.slots, 0)
	more("ids", int(before.ids), int(u.ids), 0)
	more("the keeper's descriptors", total(before.keeperFDs), total(u.keeperFDs), spareFDs)
	more("the worker's descriptors", total(before.workerFDs), total(u.workerFDs), spareFDs)
	for dir, n := range u.dirs {
		more(dir, before.dirs[dir], n, 0)
	}
	if len(errs) > 0 {
		errs = append(errs, difference("keeper", before.keeperFDs, u.keeperFDs), difference("worker", before.workerFDs, u.workerFDs))
	}
	return errors.Join(errs...)
}

// difference says which descriptors are other than before.
func difference(whose string, before, now map[string]int) error {
	var lines []string
	all := maps.Clone(before)
	maps.Copy(all, now)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if before[name] != now[name] {
			lines = append(lines, fmt.Sprintf("%s: %d of %s, before %d", whose, now[name], name, before[name]))
		}
	}
	if lines == nil {
		return nil
	}
	return errors.New(strings.Join(lines, "\n"))
}

func (u *usage) String() string {
	return fmt.Sprintf("%d mounts, %d in a container, %d slots, %d ids, keeper with %d descriptors and %d threads, worker with %d and %d",
		u.mounts, u.containerMounts, u.slots, u.ids, total(u.keeperFDs), u.keeperThreads, total(u.workerFDs), u.workerThreads)
}
