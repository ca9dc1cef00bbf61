package emul

import (
	"strconv"
	"time"
)

// loadAvg is the load of a container: the kernel's averages over its own tasks.
// The exported fields outlive the daemon.
type loadAvg struct {
	// Avenrun are the averages over 1, 5 and 15 minutes, with loadShift
	// fractional bits.
	Avenrun [3]uint64
	// At is the end of the last period that is in the averages.
	At time.Duration
	// LastPID is the highest id seen on a task, in the container's pid
	// namespace; 0 if none was.
	LastPID int
	// Forks is how many tasks the container has started, as far as one can
	// know: at least as many as were ever seen at once and, in a pid
	// namespace of its own, the last id given out.
	Forks int
	// Switches is how often the container's tasks have left a CPU, and Seen the part of
	// it that the tasks of the last count have done.
	Switches, Seen uint64

	taskCount
}

// taskCount is one count of a container's tasks.
type taskCount struct {
	running  int // on a CPU or waiting for one
	blocked  int // in uninterruptible sleep
	total    int
	lastPID  int    // the highest id in the container's pid namespace, 0 if that cannot be told
	switches uint64 // context switches since the count before
	seen     uint64 // those that the tasks have ever made
}

// scale takes the tasks that were counted for all.
func (n *taskCount) scale(all int) {
	n.running = n.running * all / n.total
	n.blocked = n.blocked * all / n.total
	n.switches = mulDiv(n.switches, uint64(all), uint64(n.total))
	n.total = all
}

// loadPeriod is LOAD_FREQ of include/linux/sched/loadavg.h.
const loadPeriod = 5 * time.Second

// Fixed-point constants of include/linux/sched/loadavg.h.
const (
	loadShift = 11             // FSHIFT
	loadOne   = 1 << loadShift // FIXED_1
)

// loadExp are EXP_1, EXP_5 and EXP_15: 1/exp(5s/1min) and so on.
var loadExp = [3]uint64{1884, 2014, 2037}

// maxLoadPeriods is how many periods are made up for at once. Containers are
// counted late on a busy host or after a restart of the daemon; the time of a
// suspended host, in which the kernel counts nothing either, is not made up for.
const maxLoadPeriods = 12

// update takes a count of tasks at the time now into the averages. It accounts
// for as many periods as have passed, to the nearest whole number.
func (l *loadAvg) update(now time.Duration, n taskCount) {
	l.taskCount = n
	periods := int64((now - l.At + loadPeriod/2) / loadPeriod)
	if periods <= 0 {
		return
	}
	l.At += time.Duration(periods) * loadPeriod
	active := uint64(n.running+n.blocked) * loadOne
	for range min(periods, maxLoadPeriods) {
		for i, exp := range loadExp {
			l.Avenrun[i] = calcLoad(l.Avenrun[i], exp, active)
		}
	}
}

// calcLoad is calc_load of include/linux/sched/loadavg.h.
func calcLoad(load, exp, active uint64) uint64 {
	sum := load*exp + active*(loadOne-exp)
	if active >= load {
		sum += loadOne - 1
	}
	return sum / loadOne
}

// renderLoadavg renders /proc/loadavg, fs/proc/loadavg.c.
func renderLoadavg(dst []byte, v *view, _ input) []byte {
	for _, a := range v.load.Avenrun {
		a += loadOne / 200
		hundredths := ((a & (loadOne - 1)) * 100) >> loadShift
		dst = appendHundredths(dst, (a>>loadShift)*100+hundredths)
		dst = append(dst, ' ')
	}
	dst = strconv.AppendInt(dst, int64(v.running()), 10)
	dst = strconv.AppendInt(append(dst, '/'), int64(v.tasks()), 10)
	dst = strconv.AppendInt(append(dst, ' '), int64(max(1, v.load.LastPID)), 10)
	return append(dst, '\n')
}

// tasks is the number of the container's tasks: as counted by the pids
// controller, or else at the last count.
func (v *view) tasks() int {
	if v.usage.PidsOwn {
		return max(1, int(v.usage.Pids))
	}
	return max(1, v.load.total)
}

// running is the number of running tasks at the last count. The one that reads
// is always among them.
func (v *view) running() int { return min(max(1, v.load.running), v.tasks()) }
