package seccomp

import (
	"sync"

	"cloister/internal/sys"
)

// lastMappings are those of the process of a container that was written to last: a
// program that asks twice asks again and again. What they keep of it goes with the next
// tick of the watchdog.
type lastMappings struct {
	mu   sync.Mutex
	tid  int // of who has asked
	maps *sys.Mappings
}

// take returns what is known of a thread's process, or nil. It is the caller's until put.
func (l *lastMappings) take(tid int) *sys.Mappings {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tid != tid {
		return nil
	}
	maps := l.maps
	l.maps = nil
	return maps
}

// put keeps what is known of a thread's process, instead of what was known.
func (l *lastMappings) put(tid int, maps *sys.Mappings) {
	l.mu.Lock()
	old := l.maps
	l.tid, l.maps = tid, maps
	l.mu.Unlock()
	_ = old.Close() // only looked at
}
