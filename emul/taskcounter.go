package emul

import (
	"slices"
	"strconv"

	"cloister/cgroupview"
)

// taskCounter counts the tasks of one container by state, and their context switches.
// Not safe for concurrent use.
type taskCounter struct {
	proc     string // the host's /proc
	group    *cgroupview.Group
	init     int // the container's init, 0 if unknown
	level    int // of the container's pid namespace below ours; unknownLevel until known
	switches switchCounter
}

// taskScratch is memory that counting needs, for one container after another.
type taskScratch struct {
	tasks    []int
	switches []taskSwitches
	status   taskStatus
	path     []byte
	buf      [4096]byte
}

const unknownLevel = -1

// newTaskCounter returns a counter for a container whose tasks had made a number of
// context switches that are counted already.
func newTaskCounter(root cgroupview.Root, group *cgroupview.Group, init int, counted uint64) *taskCounter {
	return &taskCounter{
		proc: root.Path("proc"), group: group, init: init, level: unknownLevel,
		switches: switchCounter{before: counted},
	}
}

// count looks at up to limit tasks of the container, at all depths of its cgroup. A task
// that has ended counts as asleep.
func (t *taskCounter) count(s *taskScratch, limit int) (n taskCount, err error) {
	var all bool
	s.tasks, all, err = t.group.Tasks(s.tasks[:0], limit)
	if err != nil {
		return n, err
	}
	slices.Sort(s.tasks)
	s.tasks = slices.Compact(s.tasks) // one that is moved while they are listed can be there twice
	t.findLevel(s)
	n.total = len(s.tasks)
	s.switches = s.switches[:0]
	for _, tid := range s.tasks {
		ok := t.read(s, tid)
		id := 0
		if ok {
			id = t.idOf(&s.status)
			n.add(&s.status, id)
		}
		if ok && s.status.counted {
			s.switches = append(s.switches, taskSwitches{tid, id, s.status.switches})
		} else if last, ok := t.switches.last(tid); ok {
			s.switches = append(s.switches, last)
		}
	}
	n.switches, n.seen = t.switches.pass(s.switches, all)
	return n, nil
}

func (n *taskCount) add(t *taskStatus, id int) {
	switch t.state {
	case 'R':
		n.running++
	case 'D':
		n.blocked++
	}
	n.lastPID = max(n.lastPID, id)
}

// read reads the status of a task. It reports false if there is none.
func (t *taskCounter) read(s *taskScratch, tid int) bool {
	s.path = strconv.AppendInt(append(append(s.path[:0], t.proc...), '/'), int64(tid), 10)
	s.path = append(s.path, "/status"...)
	status, err := readProc(string(s.path), s.buf[:])
	return err == nil && s.status.parse(status) == nil
}

// findLevel finds out at which level the container's pid namespace is.
func (t *taskCounter) findLevel(s *taskScratch) {
	if t.level == unknownLevel && t.init > 0 && t.read(s, t.init) && len(s.status.ids) > 0 {
		t.level = len(s.status.ids) - 1
	}
}

// idOf returns a task's id in the container's pid namespace, 0 if that cannot be told.
func (t *taskCounter) idOf(status *taskStatus) int {
	ids := status.ids
	switch {
	case len(ids) == 0 || t.level >= len(ids): // from outside of the container
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
