package fs

import (
	"sync"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"cloister/fs/memory"
)

// Writer takes what is written to files: each write asks for an event, as that of a
// trigger to a file of /proc/pressure does, and poll(2) on the open file waits for it.
// What Content says of its calls holds for Write, too.
type Writer interface {
	// Write takes what one write(2) has brought. fired is called, from anywhere and
	// as long as the Watch is open, when it may have something to tell.
	Write(slot Slot, ref Ref, data []byte, fired func()) (Watch, error)
}

// Watch waits for an event.
type Watch interface {
	// Poll tells what has happened since the last call, as poll(2) would: POLLPRI
	// for the event, and POLLERR too when there will be no more.
	Poll() uint32
	Close()
}

// watchCost is charged to the slot's budget for a Watch, for what it holds in the
// kernel.
const watchCost = 64 << 10

// watching is the event that an open file waits for. It has one at most.
type watching struct {
	mu     sync.Mutex
	watch  Watch  // guarded by mu; nil without one
	closed bool   // guarded by mu
	poller uint64 // guarded by mu; whom to wake, 0 if nobody has polled
}

const (
	pollRdNorm = 0x40
	pollWrNorm = 0x100
	// defaultEvents is DEFAULT_POLLMASK of include/linux/poll.h.
	defaultEvents = unix.POLLIN | unix.POLLOUT | pollRdNorm | pollWrNorm
)

// watches are the events that open files wait for, by their numbers.
type watches struct {
	mu   sync.Mutex
	open map[uint64]*watching // guarded by mu
}

// of returns that of an open file.
func (t *watches) of(fh uint64) *watching {
	t.mu.Lock()
	defer t.mu.Unlock()
	w := t.open[fh]
	if w == nil {
		if t.open == nil {
			t.open = map[uint64]*watching{}
		}
		w = &watching{}
		t.open[fh] = w
	}
	return w
}

// close ends that of an open file, if it has one.
func (t *watches) close(fh uint64, s *slot) {
	t.mu.Lock()
	w := t.open[fh]
	delete(t.open, fh)
	t.mu.Unlock()
	if w != nil {
		w.close(s)
	}
}

// closeAll ends them all.
func (t *watches) closeAll() {
	t.mu.Lock()
	all := t.open
	t.open = nil
	t.mu.Unlock()
	for _, w := range all {
		w.close(nil)
	}
}

// Write answers EBUSY to a second write, as the kernel does. What was written is kept
// with the open file, for a successor to write it again.
func (b *superblock) Write(_ <-chan struct{}, in *fuse.WriteIn, data []byte) (uint32, fuse.Status) {
	if b.writer == nil {
		return 0, fuse.EROFS
	}
	at, errno := b.placeOf(nodeID(in.NodeId))
	if errno != 0 {
		return 0, fuse.EIO
	}
	h, ok := b.dev.memory.Find(in.Fh)
	if !ok {
		return 0, fuse.EBADF
	}
	if err := b.watch(at, h, data); err != nil {
		return 0, status(err)
	}
	_ = h.SetNote(string(data)) // what is too long, a successor won't know
	return uint32(len(data)), fuse.OK
}

func (b *superblock) watch(at place, h memory.Handle, data []byte) error {
	watching := b.watches.of(h.FH())
	return watching.open(at.slot, func() (w Watch, err error) {
		err = b.guard(at, func() (err error) {
			w, err = b.writer.Write(at.slot.id, at.ref(), data, func() { watching.fired(b.dev.wakePoller) })
			return err
		})
		return w, err
	})
}

// watchAgain takes up what a predecessor has written for an open file. Who has polled
// polls again: the event may have come in between.
func (b *superblock) watchAgain(at place, h memory.Handle) {
	note := h.Note()
	if len(note) == 0 || b.writer == nil {
		return
	}
	if err := b.watch(at, h, []byte(note)); err != nil {
		b.panicked(b.nameOf(at.id), err, nil)
	}
	if poller := h.Poller(); poller != 0 {
		b.dev.wakePoller(poller)
	}
}

func (w *watching) open(s *slot, open func() (Watch, error)) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.watch != nil {
		return syscall.EBUSY
	}
	if w.closed {
		return syscall.EBADF
	}
	if !s.charge(watchCost) {
		return errBudget
	}
	watch, err := open()
	if err != nil {
		s.refund(watchCost)
		return err
	}
	w.watch = watch
	return nil
}

// fired wakes whoever has polled.
func (w *watching) fired(wake func(uint64)) {
	w.mu.Lock()
	poller := w.poller
	w.mu.Unlock()
	if poller != 0 {
		wake(poller)
	}
}

func (w *watching) close(s *slot) {
	w.mu.Lock()
	watch := w.watch
	w.watch, w.closed = nil, true
	w.mu.Unlock()
	if watch != nil {
		watch.Close() // waits for a call of fired, which takes the lock
	}
	if watch != nil && s != nil {
		s.refund(watchCost)
	}
}

// poll returns what poll(2) on an open file does, and takes the kernel's name for
// who polls. A file that waits for no event is in error, as the kernel's are.
func (b *superblock) poll(fh, poller uint64) uint32 {
	h, ok := b.dev.memory.Find(fh)
	if !ok {
		return unix.POLLERR
	}
	h.SetPoller(poller)
	return b.watches.of(fh).poll(poller)
}

func (w *watching) poll(poller uint64) uint32 {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.poller = poller
	if w.watch == nil {
		return defaultEvents | unix.POLLERR | unix.POLLPRI
	}
	return defaultEvents | w.watch.Poll()
}
