package fs

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"

	"cloister/fs/memory"
)

// errBudget: the slot's readers hold too much open.
const errBudget = syscall.ENFILE

// Flags of an open file, which a successor finds.
const (
	flagLeased = 1 << iota // read from the page cache, to which its content was given
	flagUsed               // has been read by requests
	flagFilled             // its content has come to the page cache
	flagGrown              // got longer content, and the kernel has not asked for its size yet

	// flagsRead tell of which READ from the start, not for the page cache, the content is.
	flagsRead = 1<<24 - 1<<8
)

// readMark is flagsRead for a READ. There is one request in 65,536 that has the same:
// it only matters to a successor, for which the READ has not been answered.
func readMark(req request) uint32 { return uint32(req.unique()>>1) << 8 & flagsRead }

func isLeased(h memory.Handle) bool { return h.FH() != 0 && h.Flags()&flagLeased != 0 }

// newHandle makes an open file with content. Its cost is charged to the slot.
func (d *device) newHandle(at place, req request, content []byte) (memory.Handle, error) {
	cost := memory.Cost(len(content))
	if !at.slot.charge(cost) {
		return memory.Handle{}, errBudget
	}
	h, err := d.memory.NewHandle(memory.Opening{Node: uint64(at.id), Unique: req.unique()})
	if err == nil {
		if err = h.Publish(content); err != nil {
			h.Free()
		}
	}
	if err != nil {
		at.slot.refund(cost)
	}
	return h, budgeted(err)
}

// publish makes content the snapshot of an open file.
func (d *device) publish(s *slot, h memory.Handle, content []byte) error {
	s.publishing.Lock()
	defer s.publishing.Unlock()
	more := memory.Cost(len(content)) - h.Cost()
	if !s.charge(more) {
		return errBudget
	}
	err := h.Publish(content)
	if err != nil {
		s.refund(more)
	}
	return budgeted(err)
}

// budgeted: what is too long for the memory is too much for the budget.
func budgeted(err error) error {
	if errors.Is(err, memory.ErrFull) || errors.Is(err, memory.ErrTooLong) {
		return errBudget
	}
	return err
}

// forgetHandle forgets an open file that the kernel has closed.
func (d *device) forgetHandle(at place, h memory.Handle) {
	d.sb.watches.close(h.FH(), at.slot)
	l := at.lease()
	left := l.close(h)
	at.slot.publishing.Lock()
	cost := h.Cost()
	if h.Free() {
		at.slot.refund(cost)
	}
	at.slot.publishing.Unlock()
	if left {
		d.dropPages(at)
	}
}

// mayOpen refuses to open for writing what is only read. A read-only superblock lets
// no such open through, one that was remounted would: the answer is that of a file
// whose mode forbids it.
func (b *superblock) mayOpen(flags uint32) unix.Errno {
	if flags&unix.O_ACCMODE != unix.O_RDONLY && b.writer == nil {
		return unix.EACCES
	}
	return 0
}
