package fs

import (
	"sync"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
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

// Write answers EBUSY to a second write, as the kernel does.
func (b *superblock) Write(_ <-chan struct{}, in *fuse.WriteIn, data []byte) (uint32, fuse.Status) {
	h := b.handles.find(in.Fh)
	if h == nil {
		return 0, fuse.EBADF
	}
	if b.writer == nil {
		return 0, fuse.EROFS
	}
	if !b.slots.serves(h.slot) {
		return 0, fuse.EIO
	}
	err := h.watching.open(h.slot, func() (w Watch, err error) {
		err = b.guard(h.slot, h.ref.File, func() (err error) {
			w, err = b.writer.Write(h.slot.id, h.ref, data, func() { h.watching.fired(b.wake) })
			return err
		})
		return w, err
	})
	if err != nil {
		return 0, status(err)
	}
	return uint32(len(data)), fuse.OK
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
		s.refund(watchCost)
	}
}

// poll returns what poll(2) on an open file does, and takes the kernel's name for
// who polls. A file that waits for no event is in error, as the kernel's are.
func (b *superblock) poll(fh, poller uint64) uint32 {
	h := b.handles.find(fh)
	if h == nil {
		return unix.POLLERR
	}
	return h.watching.poll(poller)
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
