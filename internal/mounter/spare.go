package mounter

import "cloister/internal/sys"

// spares are stubs for requests to come, which don't wait for them to be started.
type spares chan *sys.Stub

// take returns a stub and has another one started.
func (s spares) take() (*sys.Stub, error) {
	defer func() { go s.add() }()
	select {
	case stub := <-s:
		return stub, nil
	default:
		return sys.NewStub()
	}
}

// add starts a stub if there is none. Who needs one is told what is wrong.
func (s spares) add() {
	if len(s) == cap(s) {
		return
	}
	stub, err := sys.NewStub()
	if err != nil {
		return
	}
	select {
	case s <- stub:
	default:
		stub.End()
	}
}
