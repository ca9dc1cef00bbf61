package sys

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

const secbitNoSetuidFixup = 1 << 2 // SECBIT_NO_SETUID_FIXUP, linux/securebits.h

// blockSignals keeps signals from the calling thread, which must be locked, until restore
// is called.
func blockSignals() (restore func(), err error) {
	var all, old unix.Sigset_t
	for i := range all.Val {
		all.Val[i] = ^all.Val[i]
	}
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &all, &old); err != nil {
		return nil, os.NewSyscallError("rt_sigprocmask", err)
	}
	return func() {
		if err := unix.PthreadSigmask(unix.SIG_SETMASK, &old, nil); err != nil {
			panic("sys: the signal mask that was there before is refused: " + err.Error())
		}
	}, nil
}

// AsFSUser runs f while the calling thread acts on files as uid and gid but
// keeps all its capabilities. An overlay mounted by f creates files with these
// ids. The thread must be locked.
func AsFSUser(uid, gid uint32, f func() error) error {
	return keepingCapabilities(func() error {
		return withID(unix.SYS_SETFSGID, gid, func() error { return withID(unix.SYS_SETFSUID, uid, f) })
	})
}

// AsUser runs f while uid is the calling thread's effective user, with all its
// capabilities. The thread must be locked.
func AsUser(uid uint32, f func() error) error {
	return keepingCapabilities(func() (err error) {
		if err := setEffectiveUser(int(uid)); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, setEffectiveUser(0)) }()
		return f()
	})
}

// setEffectiveUser changes one thread only, unlike the C library's function of
// this name.
func setEffectiveUser(uid int) error {
	const keep = ^uintptr(0)
	_, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, keep, uintptr(uid), keep)
	if errno != 0 {
		return os.NewSyscallError("setresuid", errno)
	}
	return nil
}

// keepingCapabilities runs f while a change of user does not take the thread's
// capabilities.
func keepingCapabilities(f func() error) (err error) {
	bits, err := unix.PrctlRetInt(unix.PR_GET_SECUREBITS, 0, 0, 0, 0)
	if err != nil {
		return os.NewSyscallError("prctl PR_GET_SECUREBITS", err)
	}
	if err := setSecurebits(bits | secbitNoSetuidFixup); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, setSecurebits(bits)) }()
	return f()
}

// WithoutCapability runs f while a capability is not among the effective ones of the
// calling thread, which must be locked.
func WithoutCapability(number int, f func() error) (err error) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var old [2]unix.CapUserData
	if err := unix.Capget(&header, &old[0]); err != nil {
		return os.NewSyscallError("capget", err)
	}
	without := old
	without[number/32].Effective &^= 1 << (number % 32)
	if err := unix.Capset(&header, &without[0]); err != nil {
		return os.NewSyscallError("capset", err)
	}
	defer func() { err = errors.Join(err, os.NewSyscallError("capset", unix.Capset(&header, &old[0]))) }()
	return f()
}

// withID runs f with a file system user or group id. setfsuid(2) and setfsgid(2)
// return the previous id and no error: whether it worked shows in what a further
// call with an id that no user has returns.
func withID(call uintptr, id uint32, f func() error) (err error) {
	old, _, _ := unix.RawSyscall(call, uintptr(id), 0, 0)
	defer func() {
		unix.RawSyscall(call, old, 0, 0)
	}()
	if now, _, _ := unix.RawSyscall(call, ^uintptr(0), 0, 0); uint32(now) != id {
		return os.NewSyscallError("setfsuid", unix.EPERM)
	}
	return f()
}

func setSecurebits(bits int) error {
	return os.NewSyscallError("prctl PR_SET_SECUREBITS", unix.Prctl(unix.PR_SET_SECUREBITS, uintptr(bits), 0, 0, 0))
}

// InDir runs f with the directory dir as the calling thread's working directory.
// The thread must be locked and not share its working directory (UnshareMounts,
// UnshareFS).
func InDir(dir *FD, f func() error) (err error) {
	old, err := Open(".", unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, os.NewSyscallError("fchdir", unix.Fchdir(old.fd)), old.Close())
	}()
	if err := unix.Fchdir(dir.fd); err != nil {
		return os.NewSyscallError("fchdir", err)
	}
	return f()
}

// InNetwork runs f with the calling thread in a network namespace. The thread must
// be locked.
func InNetwork(ns *Namespace, f func() error) (err error) {
	return inNamespace(ns, "net", NewNet, f)
}

// InIPC and InUTS do the same for the other namespaces that sysctls belong to.
func InIPC(ns *Namespace, f func() error) error { return inNamespace(ns, "ipc", NewIPC, f) }
func InUTS(ns *Namespace, f func() error) error { return inNamespace(ns, "uts", NewUTS, f) }

// InMounts runs f in a mount namespace and comes back to the thread's own and to its
// working directory. The thread must not share its working directory.
func InMounts(ns *Namespace, f func() error) (err error) {
	here, err := Open(".", unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, os.NewSyscallError("fchdir", unix.Fchdir(here.fd)), here.Close())
	}()
	return inNamespace(ns, "mnt", NewNS, f)
}

// InMountsOf does the same in the mount namespace of the process behind a pidfd, which
// can't be that of another by now. ESRCH means that the process has ended.
func InMountsOf(process *FD, f func() error) error { return InMounts(&Namespace{FD: process}, f) }

func inNamespace(ns *Namespace, kind string, flag int, f func() error) (err error) {
	old, err := OpenThreadNamespace(kind)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, old.Close()) }()
	if err := ns.Enter(flag); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, old.Enter(flag)) }()
	return f()
}
