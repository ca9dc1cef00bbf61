package read

import (
	"errors"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// reader is a thread in the stage that reads when it is told to.
type reader struct {
	jobs chan job
	done chan error
	loop *loop // of the thread during a job
}

type job struct {
	paths      []string
	op         Op
	cpu        int // -1: any
	zero       time.Time
	begin, end time.Duration
}

// newReader starts a reader, which ends when its jobs are closed.
func newReader(s *stage) (*reader, error) {
	r := &reader{jobs: make(chan job), done: make(chan error), loop: newLoop()}
	ready := make(chan error)
	go r.work(s, ready)
	return r, <-ready
}

// work runs on a thread that ends with it: it can't leave the stage.
func (r *reader) work(s *stage, ready chan<- error) {
	runtime.LockOSThread()
	var free unix.CPUSet
	err := unix.SchedGetaffinity(0, &free)
	if err == nil {
		err = blockSignals()
	}
	if err == nil {
		err = s.enter()
	}
	ready <- err
	if err != nil {
		return
	}
	for j := range r.jobs {
		r.done <- r.do(j, free)
	}
}

// do does a job. Between jobs the thread is pinned as it was in the last one.
func (r *reader) do(j job, free unix.CPUSet) error {
	set := free
	if j.cpu >= 0 {
		set.Zero()
		set.Set(j.cpu)
	}
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return os.NewSyscallError("sched_setaffinity", err)
	}
	if err := r.loop.prepare(j.paths, j.op); err != nil {
		return err
	}
	return errors.Join(r.loop.run(j.zero, j.begin, j.end), r.loop.finish())
}

// blockSignals keeps signals from the calling thread, above all the one by which Go's
// scheduler wants to interrupt what runs for long: it would interrupt a read.
func blockSignals() error {
	var all unix.Sigset_t
	for i := range all.Val {
		all.Val[i] = ^all.Val[i]
	}
	return os.NewSyscallError("pthread_sigmask", unix.PthreadSigmask(unix.SIG_BLOCK, &all, nil))
}
