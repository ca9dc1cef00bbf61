package sys

import "golang.org/x/sys/unix"

var ProcByMember = procByMember

// Wait is a call that does not return.
func (s *Stub) Wait() error {
	_, err := s.do("ppoll", unix.SYS_PPOLL, 0, 0, 0, 0, 0)
	return err
}

func (s *Stub) PID() int { return s.pid }

func (z *Zygote) PID() int { return z.stub.pid }
