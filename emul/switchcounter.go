package emul

import "slices"

// switchCounter adds up the context switches of one container's tasks. What a task that
// has ended was last seen with stays counted; what it did after that, and tasks that come
// and go between two passes, are missed.
type switchCounter struct {
	tasks []taskSwitches // of the last pass, by rising tid
	// partial tells that the last pass did not see all tasks: those that are new to the
	// next one may have been there before.
	partial bool
	// before is the sum over the tasks of a counter that this one continues. It is all
	// that is known of them at the first pass, which sets passed.
	before uint64
	passed bool
}

// taskSwitches is what a task was seen with.
type taskSwitches struct {
	tid int
	// id is that in the container: a tid may be another task's the next time.
	id    int
	count uint64
}

// pass takes the counts of all tasks seen, by rising tid. It returns how many switches
// are new and the sum over the tasks. all is false if there may be more tasks.
func (c *switchCounter) pass(tasks []taskSwitches, all bool) (fresh, sum uint64) {
	old := c.tasks
	for _, t := range tasks {
		for len(old) > 0 && old[0].tid < t.tid {
			old = old[1:]
		}
		sum += t.count
		if len(old) > 0 && old[0].tid == t.tid {
			fresh += t.since(old[0])
		} else if !c.partial {
			fresh += t.count
		}
	}
	if !c.passed {
		fresh = sub(sum, c.before)
	}
	c.keep(tasks)
	c.partial, c.passed = !all, true
	return fresh, sum
}

// since returns what is new of a task with the tid of an earlier one: all of it, if it
// is another.
func (t taskSwitches) since(earlier taskSwitches) uint64 {
	if t.id != earlier.id || t.count < earlier.count {
		return t.count
	}
	return t.count - earlier.count
}

func (c *switchCounter) keep(tasks []taskSwitches) {
	if cap(c.tasks) > 2*len(tasks)+64 {
		c.tasks = nil
	}
	c.tasks = append(c.tasks[:0], tasks...)
}

// last returns what a task was last seen with.
func (c *switchCounter) last(tid int) (taskSwitches, bool) {
	i, ok := slices.BinarySearchFunc(c.tasks, tid, func(t taskSwitches, tid int) int { return t.tid - tid })
	if !ok {
		return taskSwitches{}, false
	}
	return c.tasks[i], true
}
