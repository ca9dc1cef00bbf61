package mounter

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"

	"cloister/internal/sys"
)

// caller is a thread whose mount(2) waits for an answer.
type caller struct {
	proc                *sys.FD // its directory in /proc
	root, cwd           *sys.FD
	mnt, user, pid, net *sys.Namespace
	status
}

// status is what we need of /proc/<tid>/status.
type status struct {
	sys.Identity
	tgid, tid int
}

// openCaller reads all that can be had of the thread whose directory in /proc is open.
// It touches no file system of the container's.
func openCaller(proc *sys.FD) (c *caller, err error) {
	c = &caller{proc: proc}
	defer func() {
		if err != nil {
			c.close()
			c = nil
		}
	}()
	text, err := sys.ReadFileAt(proc, "status")
	if err != nil {
		return c, err
	}
	if c.status, err = parseStatus(text); err != nil {
		return c, err
	}
	for kind, ns := range map[string]**sys.Namespace{"mnt": &c.mnt, "user": &c.user, "pid": &c.pid, "net": &c.net} {
		if *ns, err = sys.OpenNamespaceAt(proc, kind); err != nil {
			return c, err
		}
	}
	if c.root, err = proc.OpenAt("root", unix.O_PATH); err != nil {
		return c, err
	}
	c.cwd, err = proc.OpenAt("cwd", unix.O_PATH)
	return c, err
}

// close gives all back but proc.
func (c *caller) close() {
	for _, ns := range []*sys.Namespace{c.mnt, c.user, c.pid, c.net} {
		_ = ns.Close() // only looked at
	}
	for _, f := range []*sys.FD{c.root, c.cwd} {
		_ = f.Close() // likewise
	}
}

var errStatus = errors.New("unexpected text in /proc/<pid>/status")

func parseStatus(text []byte) (s status, err error) {
	seen := 0
	for line := range bytes.Lines(text) {
		key, value, _ := bytes.Cut(line, []byte(":"))
		fields := bytes.Fields(value)
		var err error
		switch string(key) {
		case "Tgid":
			s.tgid, err = only(fields, strconv.Atoi)
		case "Pid":
			s.tid, err = only(fields, strconv.Atoi)
		case "Uid":
			s.UID, err = four(fields)
		case "Gid":
			s.GID, err = four(fields)
		case "Groups":
			s.Groups, err = ids(fields)
		case "CapPrm":
			s.Permitted, err = only(fields, mask)
		case "CapEff":
			s.Effective, err = only(fields, mask)
		default:
			continue
		}
		if err != nil {
			return status{}, fmt.Errorf("%w: %.100q", errStatus, line)
		}
		seen++
	}
	if seen != 7 {
		return status{}, fmt.Errorf("%w: %d lines of 7", errStatus, seen)
	}
	return s, nil
}

func only[T any](fields [][]byte, parse func(string) (T, error)) (T, error) {
	if len(fields) != 1 {
		return *new(T), errStatus
	}
	return parse(string(fields[0]))
}

func mask(text string) (uint64, error) { return strconv.ParseUint(text, 16, 64) }

func ids(fields [][]byte) ([]uint32, error) {
	out := make([]uint32, len(fields))
	for i, f := range fields {
		id, err := strconv.ParseUint(string(f), 10, 32)
		if err != nil {
			return nil, err
		}
		out[i] = uint32(id)
	}
	return out, nil
}

func four(fields [][]byte) ([4]uint32, error) {
	all, err := ids(fields)
	if err != nil || len(all) != 4 {
		return [4]uint32{}, errors.Join(err, errStatus)
	}
	return [4]uint32(all), nil
}

// administers reports whether the caller has CAP_SYS_ADMIN in the user namespace that
// owns ns.
func (c *caller) administers(ns *sys.Namespace) (bool, error) {
	chain, err := owners(ns)
	return err == nil && hasAdmin(c.user.ID(), c.UID[1], c.Effective, chain), err
}

// userns is a user namespace.
type userns struct {
	id    sys.FileID
	owner uint32 // the user who has made it
}

// hasAdmin goes by the kernel's rules (cap_capable in security/commoncap.c) for a member
// of a user namespace, with an effective user id and effective capabilities. chain is the
// user namespace in question, its parent, and so on.
func hasAdmin(member sys.FileID, uid uint32, effective uint64, chain []userns) bool {
	for i, u := range chain {
		if u.id == member {
			return effective&(1<<unix.CAP_SYS_ADMIN) != 0
		}
		// Who has made a user namespace has all capabilities in it and below it.
		if i+1 < len(chain) && chain[i+1].id == member && u.owner == uid {
			return true
		}
	}
	return false
}

// owners returns the user namespace that owns ns, its parent and so on up to the initial
// one.
func owners(ns *sys.Namespace) (chain []userns, err error) {
	next, err := ns.Owner()
	for err == nil {
		at := next
		uid, uidErr := at.OwnerUID()
		chain = append(chain, userns{at.ID(), uid})
		next, err = at.Owner()
		if closeErr := errors.Join(uidErr, at.Close()); closeErr != nil {
			return nil, errors.Join(closeErr, next.Close())
		}
	}
	if !errors.Is(err, unix.EPERM) { // the initial one has no parent
		return nil, err
	}
	return chain, nil
}
