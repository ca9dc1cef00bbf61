package emul

import (
	"fmt"
	"slices"

	"cloister/cgroupview"
)

// taskCounter counts the tasks of one container by state. Not safe for
// concurrent use.
type taskCounter struct {
	proc  string // the host's /proc
	group *cgroupview.Group
	init  int // the container's init, 0 if unknown
	level int // of the container's pid namespace below ours; unknownLevel until known
}

// taskScratch is memory that counting needs, for one container after another.
type taskScratch struct {
	tasks []int
	buf   [4096]byte
}

const unknownLevel = -1

func newTaskCounter(root cgroupview.Root, group *cgroupview.Group, init int) *taskCounter {
	return &taskCounter{proc: root.Path("proc"), group: group, init: init, level: unknownLevel}
}

// count looks at up to limit tasks of the container, at all depths of its
// cgroup. lastPID is the highest id on them in the container's pid namespace, 0
// if that cannot be told.
func (t *taskCounter) count(s *taskScratch, limit int) (n taskCount, lastPID int, err error) {
	s.tasks, _, err = t.group.Tasks(s.tasks[:0], limit)
	if err != nil || len(s.tasks) == 0 {
		return n, 0, err
	}
	n.total = len(s.tasks)
	for _, tid := range s.tasks {
		// Within its own task directory, the kernel does not add up the times
		// of the whole process to answer. A task that has ended counts as
		// asleep.
		stat, err := readProc(fmt.Sprintf("%s/%d/task/%[2]d/stat", t.proc, tid), s.buf[:])
		if err != nil {
			continue
		}
		switch state, _ := taskState(stat); state {
		case 'R':
			n.running++
		case 'D':
			n.blocked++
		}
	}
	return n, t.translate(slices.Max(s.tasks), s.buf[:]), nil
}

// translate returns a task's id in the container's pid namespace, 0 if that
// cannot be told.
func (t *taskCounter) translate(tid int, buf []byte) int {
	if t.level == unknownLevel && t.init > 0 {
		if ids := t.nspid(t.init, buf); len(ids) > 0 {
			t.level = len(ids) - 1
		}
	}
	ids := t.nspid(tid, buf)
	switch {
	case len(ids) == 0 || t.level >= len(ids): // ended, or from outside of the container
		return 0
	case t.level == unknownLevel:
		return ids[len(ids)-1]
	default:
		return ids[t.level]
	}
}

// ownNamespace reports whether the container is known to have a pid namespace of
// its own.
func (t *taskCounter) ownNamespace() bool { return t.level > 0 }

func (t *taskCounter) nspid(tid int, buf []byte) []int {
	status, err := readProc(fmt.Sprintf("%s/%d/status", t.proc, tid), buf)
	if err != nil {
		return nil
	}
	ids, err := taskNSpid(status)
	if err != nil {
		return nil
	}
	return ids
}
