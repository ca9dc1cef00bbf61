package sys

import (
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// forkWaiting starts a copy of this process that ends when nobody has the pipe's other
// end any more. It only makes system calls: of the threads that a program in Go needs,
// it has one.
func forkWaiting(flags uintptr, readEnd, writeEnd int) (pid int, errno syscall.Errno) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// A signal would have the child run this program's handler.
	var all, old unix.Sigset_t
	for i := range all.Val {
		all.Val[i] = ^all.Val[i]
	}
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &all, &old); err != nil {
		return 0, unix.EINVAL
	}
	pid, errno = cloneWaiting(flags, readEnd, writeEnd)
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &old, nil); err != nil {
		panic("sys: the signal mask that was there before is refused: " + err.Error())
	}
	return pid, errno
}

// cloneWaiting must not grow its stack, nor be looked at by the race detector: the
// child has no runtime to help it.
//
//go:norace
//go:nosplit
func cloneWaiting(flags uintptr, readEnd, writeEnd int) (int, syscall.Errno) {
	pid, _, errno := syscall.RawSyscall6(unix.SYS_CLONE, flags|uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if errno != 0 || pid != 0 {
		return int(pid), errno
	}
	syscall.RawSyscall(unix.SYS_CLOSE, uintptr(writeEnd), 0, 0)
	syscall.RawSyscall(unix.SYS_READ, uintptr(readEnd), 0, 1) // nothing is ever written
	for {
		syscall.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
	}
}
