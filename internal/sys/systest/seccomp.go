package systest

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"cloister/internal/sys"
)

// Trap is a system call that a filter hands to a listener.
type Trap struct {
	Arch uint32 // AUDIT_ARCH_…
	Nr   uint32
}

// InstallFilter puts all threads of the process under a filter with a listener, which
// it returns. It can't be taken away.
func InstallFilter(traps ...Trap) (*sys.FD, error) {
	program := filter(traps)
	fprog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return nil, os.NewSyscallError("prctl PR_SET_NO_NEW_PRIVS", err)
	}
	const flags = unix.SECCOMP_FILTER_FLAG_NEW_LISTENER |
		unix.SECCOMP_FILTER_FLAG_TSYNC | unix.SECCOMP_FILTER_FLAG_TSYNC_ESRCH
	fd, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&fprog)))
	if errno != 0 {
		return nil, os.NewSyscallError("seccomp", errno)
	}
	return sys.NewFD(int(fd)), nil
}

// filter returns a program that looks at each trap in turn.
func filter(traps []Trap) []unix.SockFilter {
	const nr, arch = 0, 4 // in struct seccomp_data
	load := func(at uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: at}
	}
	unless := func(v uint32, skip uint8) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: v, Jf: skip}
	}
	ret := func(v uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: v}
	}
	var program []unix.SockFilter
	for _, t := range traps {
		program = append(program, load(arch), unless(t.Arch, 3), load(nr), unless(t.Nr, 1), ret(unix.SECCOMP_RET_USER_NOTIF))
	}
	return append(program, ret(unix.SECCOMP_RET_ALLOW))
}
