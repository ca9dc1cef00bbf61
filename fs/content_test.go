package fs

import (
	"sync"

	"cloister/fs/fstest"
)

// renderFunc is a Content.
type renderFunc func(dst []byte, slot Slot, file int) ([]byte, error)

// order has the race detector know that a request comes before its answer: it sees no
// order in what goes through a socket.
type order struct{ mu sync.Mutex }

func (o *order) pass() {
	o.mu.Lock()
	defer o.mu.Unlock()
}

var inOrder order

func (f renderFunc) Render(dst []byte, slot Slot, ref Ref) ([]byte, error) {
	inOrder.pass()
	defer inOrder.pass()
	return f(dst, slot, ref.File)
}

// TryRender leaves it to Render, which a test may hold up.
func (f renderFunc) TryRender([]byte, Slot, Ref) ([]byte, bool) { return nil, false }

func (f renderFunc) Members(Slot, int) ([]int, error) { return nil, nil }

// quickFunc is a renderFunc that waits for nothing.
type quickFunc struct{ renderFunc }

func (f quickFunc) TryRender(dst []byte, slot Slot, ref Ref) ([]byte, bool) {
	content, err := f.Render(dst, slot, ref)
	return content, err == nil
}

// editions is a Content whose every render is another edition. All of its files fit in
// a page, but for longFile.
type editions struct {
	fstest.Editions
}

// longFile takes several READs.
const longFile = "proc/uptime"

func (e *editions) Members(Slot, int) ([]int, error) { return nil, nil }

func (e *editions) Render(dst []byte, _ Slot, ref Ref) ([]byte, error) {
	return appendEdition(dst, ref, e.Next()), nil
}

func (e *editions) TryRender(dst []byte, slot Slot, ref Ref) ([]byte, bool) {
	content, err := e.Render(dst, slot, ref)
	return content, err == nil
}

func appendEdition(dst []byte, ref Ref, edition uint64) []byte {
	lines := 40
	if testFiles[ref.File].Path == longFile {
		lines = 700
	}
	return fstest.Append(dst, edition, lines)
}
