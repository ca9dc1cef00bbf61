package daemon

import (
	"runtime/debug"
	"sync"
	"time"
)

// memory gives memory back to the system after many containers have come or gone. The
// runtime keeps twice what is in use until its next collection, for which a daemon that
// has little to do has no reason.
type memory struct {
	mu      sync.Mutex
	settled int         // how many there were last time; guarded by mu
	timer   *time.Timer // runs if there are many more or less now; guarded by mu
	closed  bool        // guarded by mu
}

const (
	// settling is how long there must be no great change.
	settling = 2 * time.Second
	// fewContainers are not worth a collection, and neither is a fourth of all.
	fewContainers = 64
)

// changed tells how many containers there are.
func (m *memory) changed(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed || !worthwhile(m.settled, n) {
		return
	}
	if m.timer != nil {
		m.timer.Stop()
	}
	m.timer = time.AfterFunc(settling, func() { m.settle(n) })
}

func worthwhile(before, now int) bool {
	return max(before, now)-min(before, now) > max(fewContainers, max(before, now)/4)
}

// settle collects what n containers have left.
func (m *memory) settle(n int) {
	m.mu.Lock()
	m.settled = n
	m.mu.Unlock()
	debug.FreeOSMemory()
}

func (m *memory) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	if m.timer != nil {
		m.timer.Stop()
	}
}
