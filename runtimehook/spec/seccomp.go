package spec

import (
	"runtime"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Traps says which system calls of a container go to the daemon.
type Traps struct {
	Listener string // path of the daemon's socket
	Key      string // the container's, which the runtime passes on to the daemon
	// CPUAffinity is for sched_getaffinity.
	CPUAffinity bool
	// WaitKillable tells that the runtime knows the flag which lets nothing but a fatal
	// signal interrupt a call that the daemon is at work on.
	WaitKillable bool
}

// newMountAPI is where programs begin to make a file system without mount(2). If it is
// missing they fall back to that. The other calls of this kind are left to the kernel:
// fspick only changes what is there, and mount(8) knows no other way once it has seen it.
const newMountAPI = "fsopen"

// architectures are the names of all ABIs that a machine's kernel may have. A filter that
// does not name one kills whoever uses it.
var architectures = map[string][]specs.Arch{
	"amd64": {specs.ArchX86_64, specs.ArchX86, specs.ArchX32},
	"arm64": {specs.ArchAARCH64, specs.ArchARM},
}

// hiddenSockets are the address families that reach the host past all namespaces: its
// hypervisor's sockets and its kernel's ciphers.
var hiddenSockets = []uint64{unix.AF_VSOCK, unix.AF_ALG}

// TrapSyscalls has the kernel ask the daemon about some system calls of the container. The
// engine's profile stays in force: only what it allows whatever the arguments are is
// trapped, and without a profile all else stays allowed, but for sockets that reach the host.
func (d *Document) TrapSyscalls(t Traps) {
	profile, ok := d.linux()["seccomp"].(object)
	if !ok {
		profile = openProfile(runtime.GOARCH)
		d.linux()["seccomp"] = profile
	}
	var trapped []string
	for _, name := range d.wanted(t) {
		if allows(profile, name) {
			trapped = append(trapped, name)
		}
	}
	if len(trapped) == 0 {
		return
	}
	setRule(profile, specs.LinuxSyscall{Names: trapped, Action: specs.ActNotify})
	if slices.Contains(trapped, "mount") && allows(profile, newMountAPI) {
		missing := uint(unix.ENOSYS)
		setRule(profile, specs.LinuxSyscall{Names: []string{newMountAPI}, Action: specs.ActErrno, ErrnoRet: &missing})
	}
	profile["listenerPath"], profile["listenerMetadata"] = t.Listener, t.Key
	if t.WaitKillable {
		waitKillable(profile)
	}
}

// wanted are the names of the calls to trap where the profile allows it.
func (d *Document) wanted(t Traps) []string {
	names := []string{"sysinfo", "syslog"}
	if t.CPUAffinity {
		names = append(names, "sched_getaffinity")
	}
	if caps := d.Spec.Process.Capabilities; caps != nil && slices.Contains(caps.Bounding, "CAP_SYS_ADMIN") {
		names = append(names, "mount", "umount", "umount2")
	}
	return names
}

// openProfile is a profile for a container that has none.
func openProfile(machine string) object {
	denied := uint(unix.EPERM)
	p := specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Architectures: architectures[machine]}
	for _, family := range hiddenSockets {
		for _, only64 := range only64Bit {
			p.Syscalls = append(p.Syscalls, specs.LinuxSyscall{
				Names: []string{"socket"}, Action: specs.ActErrno, ErrnoRet: &denied,
				// The kernel looks at the lower half of the argument alone.
				Args: []specs.LinuxSeccompArg{{Index: 0, Value: 1<<32 - 1, ValueTwo: family, Op: specs.OpMaskedEqual}, only64},
			})
		}
	}
	return generic(p).(object)
}

// only64Bit are conditions one of which always holds, but neither in an ABI of 32 bits,
// where libseccomp compares with the lower half of the value. There programs ask for a
// socket by socketcall(2) as well, whose arguments no filter sees: libseccomp would deny
// them all.
var only64Bit = []specs.LinuxSeccompArg{
	{Index: 1, Value: 1 << 32, Op: specs.OpLessThan},
	{Index: 1, Value: 1<<32 - 1, Op: specs.OpGreaterThan},
}

// allows reports whether a profile allows a call whatever its arguments are.
func allows(profile object, name string) bool {
	allowed := profile["defaultAction"] == string(specs.ActAllow)
	for _, e := range elements(profile, "syscalls") {
		rule, ok := e.(object)
		if !ok || !slices.Contains(elements(rule, "names"), any(name)) {
			continue
		}
		if rule["action"] != string(specs.ActAllow) {
			return false
		}
		allowed = allowed || len(elements(rule, "args")) == 0
	}
	return allowed
}

// setRule makes a rule the only one of its names: of two for one call it is not defined
// which holds.
func setRule(profile object, rule specs.LinuxSyscall) {
	others := slices.DeleteFunc(elements(profile, "syscalls"), func(e any) bool {
		o, ok := e.(object)
		if !ok {
			return false
		}
		before := elements(o, "names")
		left := slices.DeleteFunc(before, func(n any) bool {
			name, ok := n.(string)
			return ok && slices.Contains(rule.Names, name)
		})
		if len(left) == len(before) {
			return false
		}
		o["names"] = left
		return len(left) == 0
	})
	profile["syscalls"] = append(others, generic(rule))
}

// waitKillable sets the flag. A profile without flags has those that a runtime chooses,
// which is the one that is added here.
func waitKillable(profile object) {
	flags, ok := profile["flags"].(list)
	if !ok {
		flags = list{string(specs.LinuxSeccompFlagSpecAllow)}
	}
	if flag := any(string(specs.LinuxSeccompFlagWaitKillableRecv)); !slices.Contains(flags, flag) {
		flags = append(flags, flag)
	}
	profile["flags"] = flags
}
