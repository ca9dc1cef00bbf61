package spec

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// hiddenSockets are the address families that reach the host past all namespaces: its
// hypervisor's sockets and its kernel's ciphers.
var hiddenSockets = []uint64{unix.AF_VSOCK, unix.AF_ALG}

// socketcall is how i386 programs may ask for a socket, too: with sysSocket for its first
// argument and the family in memory, where no filter sees it.
const (
	socketcall = "socketcall"
	sysSocket  = 1
)

// eitherType are conditions one of which always holds: whether the first bit of the type of
// a socket is set.
//
// For i386 libseccomp makes two of a rule for "socket": one for that call, and one for
// socketcall(SYS_SOCKET), in which it forgets the condition on the family. Of two rules for
// one call it leaves out the one that has more conditions and comes later. So a rule for
// socketcall(SYS_SOCKET) alone holds if it comes first and all for "socket" have a
// condition on something else than the family.
var eitherType = []specs.LinuxSeccompArg{
	{Index: 1, Value: 1, ValueTwo: 0, Op: specs.OpMaskedEqual},
	{Index: 1, Value: 1, ValueTwo: 1, Op: specs.OpMaskedEqual},
}

// forSocketcall is a rule for socketcall that goes by whether it is to make a socket.
func forSocketcall(action specs.LinuxSeccompAction, op specs.LinuxSeccompOperator) specs.LinuxSyscall {
	return specs.LinuxSyscall{
		Names: []string{socketcall}, Action: action,
		Args: []specs.LinuxSeccompArg{{Index: 0, Value: sysSocket, Op: op}},
	}
}

// openProfile is a profile for a container that has none.
func openProfile(machine string) object {
	denied := uint(unix.EPERM)
	p := specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Architectures: architectures[machine]}
	if slices.Contains(p.Architectures, specs.ArchX86) {
		p.Syscalls = append(p.Syscalls, forSocketcall(specs.ActNotify, specs.OpEqualTo))
	}
	for _, family := range hiddenSockets {
		for _, always := range eitherType {
			p.Syscalls = append(p.Syscalls, specs.LinuxSyscall{
				Names: []string{"socket"}, Action: specs.ActErrno, ErrnoRet: &denied,
				// The kernel looks at the lower half of the argument alone.
				Args: []specs.LinuxSeccompArg{{Index: 0, Value: 1<<32 - 1, ValueTwo: family, Op: specs.OpMaskedEqual}, always},
			})
		}
	}
	return generic(p).(object)
}

// trapSocketcall has the daemon asked about sockets of i386 programs, in a profile that
// allows only some sockets but all of them by socketcall. Nothing else changes.
func trapSocketcall(profile object) {
	if !slices.Contains(elements(profile, "architectures"), any(string(specs.ArchX86))) ||
		profile["defaultAction"] == string(specs.ActAllow) || allows(profile, "socket") {
		return
	}
	rules := []specs.LinuxSyscall{forSocketcall(specs.ActNotify, specs.OpEqualTo)}
	switch {
	case allows(profile, socketcall):
		rules = append(rules, forSocketcall(specs.ActAllow, specs.OpNotEqual))
	case len(actions(profile, socketcall)) > 0 || !allAllow(actions(profile, "socket")):
		return
	}
	takeOut(profile, []string{socketcall})
	all := generic(rules).(list)
	for _, e := range elements(profile, "syscalls") {
		all = append(all, withType(e)...)
	}
	profile["syscalls"] = all
}

// actions are those of all rules for a call.
func actions(profile object, name string) (all []any) {
	for _, e := range elements(profile, "syscalls") {
		if rule, ok := e.(object); ok && slices.Contains(elements(rule, "names"), any(name)) {
			all = append(all, rule["action"])
		}
	}
	return all
}

// allAllow reports whether there are actions, all to allow a call.
func allAllow(actions []any) bool {
	other := func(a any) bool { return a != string(specs.ActAllow) }
	return len(actions) > 0 && !slices.ContainsFunc(actions, other)
}

// withType returns two rules, with a condition on the type, for one for "socket" that has
// none but on the family. Others stay as they are.
func withType(e any) list {
	rule, ok := e.(object)
	if !ok || !slices.Contains(elements(rule, "names"), any("socket")) || slices.ContainsFunc(elements(rule, "args"), notFamily) {
		return list{e}
	}
	var all list
	if others := without(elements(rule, "names"), []string{"socket"}); len(others) > 0 {
		rest := maps.Clone(rule)
		rest["names"] = others
		all = append(all, rest)
	}
	for _, always := range eitherType {
		one := maps.Clone(rule)
		one["names"] = list{"socket"}
		one["args"] = append(slices.Clone(elements(rule, "args")), generic(always))
		all = append(all, one)
	}
	return all
}

// notFamily reports whether a condition is on another argument than the first one.
func notFamily(condition any) bool {
	c, ok := condition.(object)
	return ok && c["index"] != nil && c["index"] != json.Number("0")
}
