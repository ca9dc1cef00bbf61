package sys

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// NewUserNamespace makes a user namespace in which the ids from 0 to size-1 are
// the host's from start, for user and group ids alike. Nothing runs in it; it
// exists as long as the descriptor is open, and serves to id-map mounts.
func NewUserNamespace(start, size uint32) (*Namespace, error) {
	return ofTracedChild(start, size, 0, "user")
}

// NewLockedMounts makes a copy of the calling thread's mount namespace that belongs
// to another user namespace. The kernel locks the restrictions of all mounts in it:
// a mount that is cloned from there can never lose its read-only, nosuid, nodev and
// noexec, wherever it is taken.
func NewLockedMounts(start, size uint32) (*Namespace, error) {
	return ofTracedChild(start, size, unix.CLONE_NEWNS, "mnt")
}

// ofTracedChild opens a namespace of a child in new namespaces. The kernel gives a
// user namespace only to a new process. The process here is a copy of this program
// that is traced and therefore stops before its first instruction; it is killed as
// soon as its namespace is open.
func ofTracedChild(start, size uint32, flags uintptr, kind string) (*Namespace, error) {
	runtime.LockOSThread() // ptrace(2) belongs to the thread that starts the child
	defer runtime.UnlockOSThread()

	maps := []syscall.SysProcIDMap{{ContainerID: 0, HostID: int(start), Size: int(size)}}
	pid, err := syscall.ForkExec("/proc/self/exe", []string{"cloister-namespace"}, &syscall.ProcAttr{
		Sys: &syscall.SysProcAttr{
			Cloneflags:  unix.CLONE_NEWUSER | flags,
			UidMappings: maps,
			GidMappings: maps,
			Ptrace:      true,
			Pdeathsig:   syscall.SIGKILL,
		},
	})
	if err != nil {
		return nil, fmt.Errorf("make user namespace with ids %d to %d: %w", start, uint64(start)+uint64(size)-1, err)
	}
	ns, err := OpenPIDNamespace(pid, kind)
	return ns, errors.Join(err, endTraced(pid))
}

// endTraced kills a traced child and waits for its end. The first wait may
// report the stop at exec instead.
func endTraced(pid int) error {
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		return os.NewSyscallError("kill", err)
	}
	for {
		var ws unix.WaitStatus
		_, err := unix.Wait4(pid, &ws, 0, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return os.NewSyscallError("wait4", err)
		case ws.Exited(), ws.Signaled():
			return nil
		}
	}
}
