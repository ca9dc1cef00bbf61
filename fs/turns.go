package fs

import (
	"sync"
	"time"
)

// turnLimit is how long a slot's turn is waited for. Most take some microseconds.
const turnLimit = 20 * time.Millisecond

// turns are what a loop does for one slot after the other: it has the kernel drop pages,
// which waits for whoever has locked them. A container can make that endless, as by a
// listing of a directory into memory that it never gets. So a turn that takes long is left
// alone, and its slot, and no other one, has no more of them until it ends.
type turns struct {
	tasks *sync.WaitGroup // where those that are left alone count

	mu   sync.Mutex
	held map[nodeID]func() // by slot: those that have not ended, and what comes then; guarded by mu
}

func newTurns(tasks *sync.WaitGroup) *turns {
	return &turns{tasks: tasks, held: map[nodeID]func(){}}
}

// isHeld reports whether a turn of the node's slot has not ended.
func (t *turns) isHeld(id nodeID) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, held := t.held[id.slot()]
	return held
}

// take does work, or has missed called when the turn ends that the node's slot has now.
// It is for one goroutine.
func (t *turns) take(id nodeID, work, missed func()) {
	t.mu.Lock()
	_, held := t.held[id.slot()]
	if !held {
		missed = func() {}
	}
	t.held[id.slot()] = missed
	t.mu.Unlock()
	if held {
		return
	}
	ended := make(chan struct{})
	t.tasks.Go(func() {
		work()
		t.end(id)
		close(ended)
	})
	select {
	case <-ended:
	case <-time.After(turnLimit):
	}
}

func (t *turns) end(id nodeID) {
	t.mu.Lock()
	missed := t.held[id.slot()]
	delete(t.held, id.slot())
	t.mu.Unlock()
	missed()
}
