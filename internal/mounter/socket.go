package mounter

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"cloister/internal/seccomp"
	"cloister/internal/sys"
)

// SocketHandler answers socketcall(2), by which i386 programs ask for a socket with the
// family in memory. The kernel would read that again, so it is never left to it: the
// mounter makes the socket as the caller, which is given it.
type SocketHandler struct {
	Mounter *Mounter
}

// sysSocket is the first argument of a socketcall that makes a socket (SYS_SOCKET).
const sysSocket = 1

// socket is what socket(2) is called with.
type socket struct {
	Family   uint32 `json:"family"`
	Type     uint32 `json:"type"`
	Protocol uint32 `json:"protocol"`
}

// hidden tells that the family reaches the host past all namespaces.
func (s *socket) hidden() bool { return s.Family == unix.AF_VSOCK || s.Family == unix.AF_ALG }

// Serve is of seccomp.Handler.
func (h *SocketHandler) Serve(r *seccomp.Request) seccomp.Answer {
	if r.Args[0] != sysSocket {
		return seccomp.Continue() // nobody can change that any more
	}
	var arguments [12]byte
	if n, err := r.ReadMemory(r.Args[1], arguments[:]); n < len(arguments) {
		if errors.Is(err, unix.EFAULT) {
			return seccomp.Errno(unix.EFAULT)
		}
		return seccomp.Failed(err)
	}
	var s socket
	if _, err := binary.Decode(arguments[:], binary.NativeEndian, &s); err != nil {
		return seccomp.Failed(err)
	}
	if s.hidden() {
		return seccomp.Errno(unix.EPERM)
	}
	return h.ask(r, &s)
}

// ask has the mounter make the socket.
func (h *SocketHandler) ask(r *seccomp.Request, s *socket) seccomp.Answer {
	proc, err := r.ProcDir()
	if err != nil {
		return seccomp.Failed(err)
	}
	defer proc.Close() // only looked at
	q := &request{Container: r.Container, Socket: s, Timeout: min(time.Until(r.Deadline), serviceLimit)}
	answer, err := h.Mounter.mount(q, proc, func(uint64) error { return nil }) // nothing is mounted
	switch {
	case err != nil:
		return seccomp.Failed(errors.Join(err, r.Valid()))
	case answer.socket != nil:
		return seccomp.Descriptor(answer.socket, s.Type&unix.SOCK_CLOEXEC != 0)
	case answer.Error != "" || answer.Errno == 0: // this process may have no room for one
		return seccomp.Failed(errors.Join(fmt.Errorf("no socket comes from the mounter: %s", answer.Error), r.Valid()))
	}
	return seccomp.Errno(answer.Errno)
}

// socket makes the socket in a stub that is what the caller is.
func (m *mount) socket() (*sys.FD, error) {
	l, err := m.become(nil)
	if err != nil {
		return nil, err
	}
	fd, err := l.stub.Socket(m.Socket.Family, m.Socket.Type, m.Socket.Protocol)
	if err != nil {
		return nil, refusal{err}
	}
	return l.stub.Take(fd)
}

// joinForSocket makes the stub a member of what a socket belongs to as well: the caller's
// network namespace and its cgroup, whose limits and programs hold for the socket.
func (m *mount) joinForSocket(stub *sys.Stub) error {
	net, err := stub.Give(m.caller.net.FD)
	if err != nil {
		return err
	}
	if err := m.enterCgroup(stub); err != nil {
		return err
	}
	stub.JoinNet(net[0])
	return nil
}

// enterCgroup moves the stub to the caller's cgroup in the cgroup2 tree. What there is of v1
// goes by who receives the socket.
func (m *mount) enterCgroup(stub *sys.Stub) error {
	text, err := sys.ReadFileAt(m.caller.proc, "cgroup")
	if err != nil {
		return err
	}
	cgroup, ok := unifiedCgroup(text)
	if !ok || m.cgroups == nil {
		return nil
	}
	procs, err := m.cgroups.OpenAt("."+cgroup+"/cgroup.procs", unix.O_WRONLY)
	if err != nil {
		return err
	}
	defer procs.Close() // the stub has it
	given, err := stub.Give(procs)
	if err != nil {
		return err
	}
	return stub.EnterCgroup(given[0])
}

// unifiedCgroup returns the path in the cgroup2 tree from /proc/<pid>/cgroup.
func unifiedCgroup(text []byte) (string, bool) {
	for line := range bytes.Lines(text) {
		if name, ok := bytes.CutPrefix(line, []byte("0::")); ok {
			return string(bytes.TrimSuffix(name, []byte("\n"))), true
		}
	}
	return "", false
}

// openCgroups opens the cgroup2 tree, if there is one.
func openCgroups() (*sys.FD, error) {
	for _, dir := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		fd, err := sys.OpenPath(dir)
		if errors.Is(err, unix.ENOENT) {
			continue
		}
		if err != nil {
			return nil, err
		}
		magic, err := fd.FSMagic()
		if err == nil && magic == unix.CGROUP2_SUPER_MAGIC {
			return fd, nil
		}
		if err := errors.Join(err, fd.Close()); err != nil {
			return nil, err
		}
	}
	return nil, nil
}
