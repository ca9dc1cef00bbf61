package mounter

import (
	"sync"

	"cloister/internal/sys"
)

// spares are stubs for requests to come, which don't wait for them to be started.
type spares struct {
	stubs    chan *sys.Stub
	zygote   sys.Zygote
	starting sync.RWMutex // read-locked while one begins that has all that this process has open
}

// take returns a stub. Who has taken one calls add once it has its answer.
func (s *spares) take() (*sys.Stub, error) {
	select {
	case stub := <-s.stubs:
		return stub, nil
	default:
		return s.start()
	}
}

func (s *spares) start() (*sys.Stub, error) {
	s.starting.RLock()
	defer s.starting.RUnlock()
	return s.zygote.NewStub()
}

// settle returns when no stub has what this process has closed before.
func (s *spares) settle() {
	s.starting.Lock()
	defer s.starting.Unlock()
}

// add starts a stub if there is none. Who needs one is told what is wrong.
func (s *spares) add() {
	if len(s.stubs) == cap(s.stubs) {
		return
	}
	stub, err := s.start()
	if err != nil {
		return
	}
	select {
	case s.stubs <- stub:
	default:
		stub.End()
	}
}
