package sys

import "golang.org/x/sys/unix"

// JoinNet makes the stub a member of a network namespace, whose number is the stub's, when
// the next call is made.
func (s *Stub) JoinNet(net int) { s.plan("setns", unix.SYS_SETNS, uintptr(net), NewNet) }

// Socket makes a socket. The number is the stub's.
func (s *Stub) Socket(family, kind, protocol uint32) (int, error) {
	fd, err := s.do("socket", unix.SYS_SOCKET, uintptr(family), uintptr(kind), uintptr(protocol))
	return int(fd), err
}

// EnterCgroup moves the stub to the cgroup whose cgroup.procs is open there.
func (s *Stub) EnterCgroup(procs int) error {
	self, err := s.putString("0")
	if err != nil {
		return err
	}
	_, err = s.do("write cgroup.procs", unix.SYS_WRITE, uintptr(procs), self, 1)
	return err
}
