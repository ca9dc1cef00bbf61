package emul

import (
	"container/list"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// openFiles bounds how many descriptors of cgroups all containers of a host have: some
// twenty for each that is read. Beyond that, those of containers that have not been read
// lately are given back.
type openFiles struct {
	limit int // RLIMIT_NOFILE, of which the rest of the process needs some

	mu         sync.Mutex
	containers int        // guarded by mu
	total      int        // guarded by mu
	queue      *list.List // of *Container that have some, the next to be parked first; guarded by mu
}

const (
	// reservedFiles are for all else but containers, each of which needs otherFiles:
	// pidfds.
	reservedFiles = 512
	otherFiles    = 2
	// inUse is how long ago a container was read that is not parked if others are there.
	inUse = time.Second
	// maxPassedOver is how many of those in use are passed over at a time, if there are
	// as many others.
	maxPassedOver = 8
)

// newOpenFiles takes the limit of the process, or a given one.
func newOpenFiles(limit int) *openFiles {
	o := &openFiles{limit: limit, queue: list.New()}
	var r unix.Rlimit
	if limit == 0 && unix.Getrlimit(unix.RLIMIT_NOFILE, &r) == nil {
		o.limit = int(min(r.Cur, 1<<30))
	}
	return o
}

// most is how many descriptors there may be. Precondition: mu is held.
func (o *openFiles) most() int {
	return max(o.limit/4, o.limit-reservedFiles-otherFiles*o.containers)
}

// add and remove count containers. One that is removed has no descriptors any more.
func (o *openFiles) add() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.containers++
}

func (o *openFiles) remove(c *Container) {
	o.note(c, 0)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.containers--
}

// note takes how many descriptors a container has now. Precondition: c.sampling is held.
func (o *openFiles) note(c *Container, n int) {
	if n == c.openFiles {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.total += n - c.openFiles
	c.openFiles = n
	switch {
	case n == 0:
		o.queue.Remove(c.queued)
		c.queued = nil
	case c.queued == nil:
		c.queued = o.queue.PushBack(c)
	}
}

// excess returns containers whose descriptors are to be given back, none of which is
// the caller's.
func (o *openFiles) excess(but *Container, now time.Duration) (out []*Container) {
	o.mu.Lock()
	defer o.mu.Unlock()
	over, all := o.total-o.most(), o.queue.Len()
	spare := min(maxPassedOver, all/2)
	for range all {
		if over <= 0 {
			break
		}
		e := o.queue.Front()
		c := e.Value.(*Container)
		o.queue.MoveToBack(e)
		used := now < time.Duration(c.expires.Load())+inUse
		if c == but || used && spare > 0 {
			spare--
			continue
		}
		out = append(out, c)
		over -= c.openFiles
	}
	return out
}

// hold notes what the container's cgroup has open after a sample, and has others give
// theirs back if that is too much. It waits for none. Precondition: c.sampling is held.
func (c *Container) hold(now time.Duration) {
	n := c.group.OpenFiles()
	if n == c.openFiles {
		return
	}
	files := c.host.openFiles
	files.note(c, n)
	for _, other := range files.excess(c, now) {
		if !other.sampling.TryLock() {
			continue
		}
		if !other.closed {
			other.park()
		}
		other.sampling.Unlock()
	}
}

// park gives the descriptors back, until the next sample. Precondition: c.sampling is
// held.
func (c *Container) park() {
	c.group.Park()
	c.host.openFiles.note(c, 0)
}
