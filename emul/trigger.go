package emul

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"

	"cloister/cgroupview"
	"cloister/internal/sys"
)

// Trigger is an event that a container waits for: that its tasks have stalled for
// some time.
type Trigger struct {
	fd     *sys.FD
	remove func()

	mu     sync.Mutex
	events uint32 // guarded by mu; of poll(2)
}

// Write takes what a container has written to a file: only those of pressure can be
// written to, and take a trigger. fired is called for each event, from another
// goroutine, until Close returns.
func (c *Container) Write(id FileID, data []byte, fired func()) (*Trigger, error) {
	f, err := lookup(id)
	if err != nil {
		return nil, err
	}
	t, err := c.trigger(path.Base(f.Path), data, fired)
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", f.Path, err)
	}
	return t, nil
}

func (c *Container) trigger(resource string, data []byte, fired func()) (*Trigger, error) {
	command, err := parseTrigger(data)
	if err != nil {
		return nil, err
	}
	fd, err := c.openPressure(resource)
	if err != nil {
		return nil, err
	}
	t := &Trigger{fd: fd}
	if _, err := fd.Write(command); err != nil {
		return nil, errors.Join(err, fd.Close())
	}
	t.remove, err = c.host.events.add(fd, func(gone bool) {
		t.raise(gone)
		fired()
	})
	if err != nil {
		return nil, errors.Join(err, fd.Close())
	}
	return t, nil
}

// openPressure opens a pressure file of the container's cgroup for a trigger.
func (c *Container) openPressure(resource string) (*sys.FD, error) {
	c.sampling.Lock() // against Close
	defer c.sampling.Unlock()
	if c.closed {
		return nil, unix.EIO
	}
	fd, err := c.group.OpenPressure(resource)
	if errors.Is(err, cgroupview.ErrAbsent) {
		err = ErrNoPressure
	}
	return fd, err
}

func (t *Trigger) raise(gone bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.events |= unix.POLLPRI
	if gone {
		t.events |= unix.POLLERR
	}
}

// Poll returns what has happened since the last call, as poll(2) does: POLLPRI for
// the event, POLLERR from when the cgroup has been removed.
func (t *Trigger) Poll() uint32 {
	t.mu.Lock()
	defer t.mu.Unlock()
	events := t.events
	if events&unix.POLLERR == 0 {
		t.events = 0
	}
	return events
}

// Close ends the trigger.
func (t *Trigger) Close() {
	t.remove()
	_ = t.fd.Close() // nothing is written back
}

// parseTrigger parses "some|full THRESHOLD WINDOW", in µs, and returns it for a
// pressure file. It holds a container to the kernel's rule for users without
// CAP_SYS_RESOURCE on the host: windows of whole multiples of 2 s, for which the
// kernel needs no thread of its own. What else the kernel refuses is left to it.
func parseTrigger(data []byte) ([]byte, error) {
	const unprivileged = 2_000_000
	fields := bytes.Fields(bytes.TrimRight(data, "\x00"))
	if len(fields) != 3 || string(fields[0]) != "some" && string(fields[0]) != "full" {
		return nil, unix.EINVAL
	}
	threshold, err1 := strconv.ParseUint(string(fields[1]), 10, 32)
	window, err2 := strconv.ParseUint(string(fields[2]), 10, 32)
	if err1 != nil || err2 != nil || window == 0 || window%unprivileged != 0 {
		return nil, unix.EINVAL
	}
	return fmt.Appendf(nil, "%s %d %d\x00", fields[0], threshold, window), nil
}

// lazyWatcher watches for events from when the first is asked for: it takes a thread.
type lazyWatcher struct {
	mu      sync.Mutex
	watcher *sys.EventWatcher // guarded by mu; nil before the first event
}

func (l *lazyWatcher) add(fd *sys.FD, fired func(gone bool)) (remove func(), err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.watcher == nil {
		if l.watcher, err = sys.NewEventWatcher(); err != nil {
			return nil, err
		}
	}
	return l.watcher.Add(fd, fired)
}

func (l *lazyWatcher) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.watcher != nil {
		_ = l.watcher.Close() // an epoll descriptor: nothing is lost
	}
}
