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
	trapSocketcall(profile)
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
	takeOut(profile, rule.Names)
	profile["syscalls"] = append(elements(profile, "syscalls"), generic(rule))
}

// takeOut takes all rules for some calls out of a profile.
func takeOut(profile object, names []string) {
	profile["syscalls"] = slices.DeleteFunc(elements(profile, "syscalls"), func(e any) bool {
		rule, ok := e.(object)
		if !ok {
			return false
		}
		before := elements(rule, "names")
		left := without(before, names)
		if len(left) == len(before) {
			return false
		}
		rule["names"] = left
		return len(left) == 0
	})
}

// without returns a rule's names but some.
func without(before list, names []string) list {
	return slices.DeleteFunc(slices.Clone(before), func(n any) bool {
		name, ok := n.(string)
		return ok && slices.Contains(names, name)
	})
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
