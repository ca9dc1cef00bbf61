package fs

import (
	"sync"

	"golang.org/x/sys/unix"

	"cloister/fs/memory"
)

const (
	// slotRenders is how many slow requests of one slot are worked on at a time. A
	// render may sit in a system call and hold a thread, and a process of too many
	// threads is ended by the Go runtime.
	slotRenders = 8
	// slotWaiting is how many more of them may wait. There are no more than tasks
	// that read the slot's files; a slot that has so many gets ENFILE.
	slotWaiting = 4096
)

// queue is the slow requests of one slot, so that none of another slot waits for
// them. They wait in the journal, not as goroutines.
type queue struct {
	mu      sync.Mutex
	running int            // guarded by mu
	waiting []memory.Place // guarded by mu; oldest first
}

// enter lets the caller work on the request, or has it wait. It returns neither if
// there is no room.
func (q *queue) enter(m *memory.Memory, req request) (entered, waits bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.running < slotRenders {
		q.running++
		return true, false
	}
	if len(q.waiting) >= slotWaiting {
		return false, false
	}
	parked, ok := m.Park(req)
	if ok {
		q.waiting = append(q.waiting, parked)
	}
	return false, ok
}

// join is enter for a request that is parked, and that there was room for before.
func (q *queue) join(parked memory.Place) (entered bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.running < slotRenders {
		q.running++
		return true
	}
	q.waiting = append(q.waiting, parked)
	return false
}

// next returns the next waiting request for whoever has entered, or lets them leave.
func (q *queue) next() (memory.Place, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		q.waiting = nil
		q.running--
		return 0, false
	}
	first := q.waiting[0]
	q.waiting = q.waiting[1:]
	return first, true
}

// passOn sees to a slow request. Either another goroutine does the work and it returns
// true: the caller goes on to read. Or the caller has done it, and another reads.
func (d *device) passOn(r *reader, req request) (mine bool) {
	d.sb.stats.handedOver()
	q := d.sb.queueOf(req.node())
	entered, waits := q.enter(d.memory, req)
	if waits {
		return true
	}
	if !entered {
		d.write(r.reply.failed(req, unix.ENFILE))
		return true
	}
	if next := d.wakeReader(); next {
		d.answer(&r.worker, req, slow)
		memory.Clear(r.request)
		d.workOff(&r.worker, q)
		return false
	}
	parked, ok := d.memory.Park(req)
	if !ok {
		d.write(r.reply.failed(req, unix.ENFILE))
		q.mu.Lock()
		q.running--
		q.mu.Unlock()
		return true
	}
	d.workAside(q, parked)
	return true
}

// workAside has a goroutine answer a request for which q was entered.
func (d *device) workAside(q *queue, parked memory.Place) {
	d.tasks.Go(func() {
		w := d.workers.Get().(*worker)
		defer d.workers.Put(w)
		d.answerParked(w, parked)
		d.workOff(w, q)
	})
}

// workOff answers what waits, and leaves the queue.
func (d *device) workOff(w *worker, q *queue) {
	for {
		parked, ok := q.next()
		if !ok {
			return
		}
		d.answerParked(w, parked)
	}
}

func (d *device) answerParked(w *worker, parked memory.Place) {
	d.answer(w, d.memory.RequestAt(parked), slow)
	d.memory.Answered(parked)
}
