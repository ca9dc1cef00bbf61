package read

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// cpuClock is the CPU clock of a process: what all its threads, those that have ended
// too, have run (clock_getcpuclockid(3)).
func cpuClock(pid int) int32 {
	const cpuclockSched = 2 // linux/posix-timers_types.h
	return int32(^pid)<<3 | cpuclockSched
}

// cpuTime returns what a process has run.
func cpuTime(pid int) (time.Duration, error) {
	var t unix.Timespec
	if err := unix.ClockGettime(cpuClock(pid), &t); err != nil {
		return 0, fmt.Errorf("read the CPU time of process %d: %w", pid, err)
	}
	return time.Duration(t.Nano()), nil
}

// pins are the threads of processes that were put onto one CPU.
type pins struct {
	pids []int
	old  map[int]unix.CPUSet // by thread, what they may run on otherwise
}

// pin puts all threads of the processes onto a CPU. Threads that they start later are
// there as well.
func pin(cpu int, pids []int) (*pins, error) {
	p := &pins{pids: pids, old: map[int]unix.CPUSet{}}
	var one unix.CPUSet
	one.Set(cpu)
	for _, pid := range pids {
		for more := true; more; { // a thread may have started another one meanwhile
			more = false
			err := eachThread(pid, func(tid int) error {
				if _, known := p.old[tid]; known {
					return nil
				}
				var old unix.CPUSet
				if err := unix.SchedGetaffinity(tid, &old); err != nil {
					return err
				}
				p.old[tid], more = old, true
				return unix.SchedSetaffinity(tid, &one)
			})
			if err != nil {
				return nil, errors.Join(fmt.Errorf("put process %d onto CPU %d: %w", pid, cpu, err), p.undo())
			}
		}
	}
	return p, nil
}

// undo gives the threads back what they could run on, and newer ones what the first
// thread of their process could.
func (p *pins) undo() error {
	var errs []error
	for _, pid := range p.pids {
		errs = append(errs, eachThread(pid, func(tid int) error {
			old, known := p.old[tid]
			if !known {
				old = p.old[pid]
			}
			return unix.SchedSetaffinity(tid, &old)
		}))
	}
	return errors.Join(errs...)
}

// eachThread calls f for each thread of a process. It is no error if one has ended.
func eachThread(pid int, f func(tid int) error) error {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return err
	}
	for _, e := range entries {
		tid, err := strconv.Atoi(e.Name())
		if err != nil {
			return err
		}
		if err := f(tid); err != nil && !errors.Is(err, unix.ESRCH) {
			return err
		}
	}
	return nil
}

// lastCPU returns the highest of the CPUs that the calling thread may run on: the first
// ones have the most interrupts.
func lastCPU() (int, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return 0, os.NewSyscallError("sched_getaffinity", err)
	}
	last := -1
	for i := range len(set) * 64 {
		if set.IsSet(i) {
			last = i
		}
	}
	return last, nil
}
