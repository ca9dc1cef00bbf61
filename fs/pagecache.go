package fs

import (
	"time"

	"golang.org/x/sys/unix"

	"cloister/fs/memory"
)

// readPages answers a READ for the page cache, which has one snapshot for all who have
// the file open.
//
// The holder's is that. Others come here for one of three reasons. With sendfile(2) and
// its kin they get EINVAL, after which they fall back to read(2). So do those who read
// ahead, by posix_fadvise(2) and its kin, unless the page cache has a leased snapshot:
// they lose nothing, and pages of any other are as long as the kernel last heard, which
// the next sendfile(2) would not ask about. Who reads the file meanwhile, or can't be made
// out, does not wait for the page and is one of these. Those who have mapped the file EINVAL
// would kill: they get the snapshot that the page cache has. It does not stay there for
// others if they are in another call: that may touch a mapping, or come after a read ahead.
//
// The reply to such a READ is short, but tells the kernel no size: others read snapshots
// of other lengths. It takes none if it is told meanwhile to ask for the attributes.
func (d *device) readPages(w *worker, req request, at place, h memory.Handle, p pace) bool {
	l := at.lease()
	if isLeased(h) {
		if l.stale(h) {
			if p == quick {
				return false
			}
			d.refresh(w, req, at, h)
		}
		d.replyPages(w, req, at, h)
		return true
	}
	if p == quick {
		return false
	}
	call := d.look(at.slot, req.pid(), patiently)
	owner, leased := l.pageOwner(h, call.touches(at.id.ino()))
	if owner.FH() == 0 || call.kind == callSplice {
		return d.refuse(w, req, at, unix.EINVAL)
	}
	if !leased {
		if call.kind != callFault {
			l.leaving() // before somebody can be granted a lease
			defer d.dropPages(at)
		}
		d.invalAttr(at.id)
	}
	d.replyPages(w, req, at, owner)
	return true
}

// replyPages gives the page cache what its owner has.
func (d *device) replyPages(w *worker, req request, at place, owner memory.Handle) {
	if isLeased(owner) && req.readOffset() == 0 {
		at.lease().fill(owner, d.sb.now())
		d.sweeper.wake()
	}
	d.replyContent(w, req, at, owner)
}

// refresh gives the holder new content if it reads the file from the start again. Only
// the reader itself knows that; the kernel has asked for the whole page.
//
// What ends in front of the old end can grow: the kernel asks for the size before it
// reads on. A read that goes beyond has asked already, before this READ.
func (d *device) refresh(w *worker, req request, at place, h memory.Handle) {
	call := d.look(at.slot, req.pid(), briefly)
	if call.kind != callRead || call.offset != 0 {
		return
	}
	began, old := d.sb.now(), h.Len()
	content, _, err := d.sb.renderAt(at, w.scratch[:0], slow)
	longest := old
	if req.opcode() == opGetAttr && at.lease().mayGrow() ||
		req.opcode() == opRead && uint64(call.length) <= uint64(old) { // -1 is unknown
		longest = maxLeased
	}
	if err != nil || len(content) == 0 || len(content) > longest {
		return // the old content is whole, too
	}
	// The reply to a GETATTR tells of a larger size, and would not be believed after
	// this. Who is killed in between has told that there is one.
	grows, byReply := len(content) > old, req.opcode() == opGetAttr
	if grows && !byReply {
		h.SetFlags(0, flagGrown)
		d.invalAttr(at.id)
	}
	stores := grows && byReply && at.slot.mayStore()
	renewed, told, err := at.lease().renew(h, stores, func() error { return d.publish(at.slot, h, content) })
	if err != nil || !renewed {
		if stores {
			at.slot.stores.Add(-1)
		}
		return
	}
	known := stores && d.storeSize(at, len(content), content[len(content)-1])
	// Of two replies the kernel believes the one that it takes first. If that may be one
	// with the old size it is to ask once more, where its read of the old size ends.
	if grows && !known && (told || !byReply) {
		h.SetFlags(0, flagGrown)
		d.invalAttr(at.id)
	}
	d.sb.stats.renewed(at.node.file)
	d.sb.stats.took(at.node.file, d.sb.now()-began)
}

// slotStores is how many sizes of a slot's files may be on their way: as many as the
// requests that are worked on.
const slotStores = slotRenders

// mayStore reports whether the caller may call storeSize.
func (s *slot) mayStore() bool {
	if s.stores.Add(1) <= slotStores {
		return true
	}
	s.stores.Add(-1)
	return false
}

// storeSize has the kernel know that content has grown before it takes the reply to its
// GETATTR. That it does not believe if it has sent this before a sweep, and a read that
// asks no more would be cut off. It reports whether the kernel knows: who has locked the
// page, maybe for a READ that is to be answered, is not waited for without an end.
func (d *device) storeSize(at place, size int, last byte) (known bool) {
	stored := make(chan error, 1)
	d.tasks.Go(func() {
		err := d.notify(growMessage(at.id, uint64(size), last))
		at.lease().arrived()
		at.slot.stores.Add(-1)
		stored <- err
	})
	select {
	case err := <-stored:
		return err == nil
	case <-time.After(turnLimit):
		return false
	}
}
