package daemon

import (
	"os"
	"sync"
	"sync/atomic"

	"cloister/emul"
)

// view is what the files of a slot are rendered from. That of a container which is
// adopted is opened when it is first needed: whoever reads a file of any container at the
// time of a restart waits for none but their own.
type view struct {
	opened atomic.Pointer[emul.Container] // nil as long as it is not open

	mu     sync.Mutex                      // held while the view is opened
	open   func() (*emul.Container, error) // guarded by mu
	closed bool                            // guarded by mu
}

// get opens the view if it is not open. One that can't be opened is tried again.
func (v *view) get() (*emul.Container, error) {
	if c := v.opened.Load(); c != nil {
		return c, nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if c := v.opened.Load(); c != nil {
		return c, nil
	}
	if v.closed {
		return nil, os.ErrClosed
	}
	c, err := v.open()
	if err != nil {
		return nil, err
	}
	v.opened.Store(c)
	v.open = nil // and what it knows
	return c, nil
}

// close waits for what is being opened. The view must not be used afterwards but by those
// who have it.
func (v *view) close() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.closed = true
	if c := v.opened.Load(); c != nil {
		c.Close()
	}
}
