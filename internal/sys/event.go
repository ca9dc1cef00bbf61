package sys

import (
	"errors"
	"sync"

	"golang.org/x/sys/unix"
)

// EventWatcher tells of the events that kernel files raise with EPOLLPRI, such as
// the triggers of pressure files. One goroutine waits for all of them.
type EventWatcher struct {
	loop *epollLoop

	mu      sync.Mutex
	lastID  uint64            // guarded by mu; no id is used twice
	watched map[uint64]*event // guarded by mu; nil after Close
}

// event is one descriptor that is waited for.
type event struct {
	fd    *FD
	fired func(gone bool)

	mu      sync.Mutex // held while fired runs
	removed bool       // guarded by mu
}

// errWatcherClosed says that a watcher takes no more descriptors.
var errWatcherClosed = errors.New("event watcher is closed")

// NewEventWatcher starts a watcher.
func NewEventWatcher() (*EventWatcher, error) {
	loop, err := newEpollLoop()
	if err != nil {
		return nil, err
	}
	w := &EventWatcher{loop: loop, watched: map[uint64]*event{}}
	go loop.run(w.fire)
	return w, nil
}

// Add calls fired on the watcher's goroutine after each event on the descriptor.
// Events in quick succession may share a call, and one may get several if the kernel
// wakes who waits more than once, as TCP does for a byte of urgent data.
//
// gone is true for the last call: the file's cgroup has been removed, and the
// watcher has let go of the descriptor. A trigger must have been written before,
// as the kernel takes a pressure file without one for gone. Of events before Add
// the kernel may forget the last; a trigger fires again while the stall lasts.
//
// remove ends the calls, and waits for one that is running. It may be called at
// any time and more than once, but not from fired, nor with a lock held that fired
// takes. The descriptor stays the caller's, who closes it after remove or after
// having been told that the file is gone.
func (w *EventWatcher) Add(fd *FD, fired func(gone bool)) (remove func(), err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.watched == nil {
		return nil, errWatcherClosed
	}
	w.lastID++
	id := w.lastID
	// Edge-triggered, as asking a pressure file takes the event away.
	if err := w.loop.add(fd.fd, unix.EPOLLPRI|unix.EPOLLET, id); err != nil {
		return nil, err
	}
	e := &event{fd: fd, fired: fired}
	w.watched[id] = e
	return func() { w.remove(id, e) }, nil
}

func (w *EventWatcher) remove(id uint64, e *event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	w.drop(id, e)
}

// drop lets go of a descriptor. Precondition: the caller holds e.mu.
func (w *EventWatcher) drop(id uint64, e *event) {
	if e.removed {
		return
	}
	e.removed = true
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.watched == nil {
		return
	}
	delete(w.watched, id)
	_ = w.loop.remove(e.fd.fd) // fails only if the caller has closed it
}

func (w *EventWatcher) fire(id uint64, events uint32) {
	w.mu.Lock()
	e := w.watched[id]
	w.mu.Unlock()
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.removed {
		return
	}
	gone := events&unix.EPOLLERR != 0
	if gone {
		w.drop(id, e)
	}
	e.fired(gone)
}

// Close ends the watcher; nothing is called any more when it returns. It must not
// be called from a callback.
func (w *EventWatcher) Close() error {
	if err := w.loop.stop(); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.watched = nil
	return w.loop.close()
}
