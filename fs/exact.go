package fs

import (
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"cloister/fs/memory"
)

// openDirect goes around the page cache and leaves it as it is.
const openDirect = fuse.FOPEN_DIRECT_IO | fuse.FOPEN_KEEP_CACHE

// answerExact answers by the protocol that gives each open file a snapshot of its own.
func (d *device) answerExact(w *worker, req request, p pace) bool {
	switch op := req.opcode(); {
	case op == opOpen && req.has(openInLen):
		return d.open(w, req, p)
	case op == opRead && req.has(readInLen):
		return d.readFile(w, req, p)
	case op == opRelease && req.has(releaseInLen):
		d.release(req)
		d.write(w.reply.done(req, 0))
		return true
	case op == opGetAttr && req.has(getAttrInLen):
		return d.getAttr(w, req, p)
	case op == opPoll && d.sb.writer != nil && req.has(pollInLen):
		if p == quick { // a write to the file may hold it up
			return false
		}
		d.write(w.reply.word(req, d.sb.poll(req.fh(), req.pollHandle())))
		return true
	}
	return d.answerRare(w, req, p)
}

// open renders: the reader's snapshot is what the file says now.
func (d *device) open(w *worker, req request, p pace) bool {
	b, began := d.sb, d.sb.now()
	at, errno := b.fileOf(req.node())
	if errno == 0 {
		errno = b.mayOpen(req.openFlags())
	}
	if errno != 0 {
		d.write(w.reply.failed(req, errno))
		return true
	}
	content, ok, err := b.renderAt(at, w.scratch[:0], p)
	if !ok {
		return false
	}
	if err != nil {
		return d.refuse(w, req, at, err)
	}
	h, err := d.newHandle(at, req, content)
	if err != nil {
		return d.refuse(w, req, at, err)
	}
	how := d.lend(w, req, at, h, began)
	if !d.write(w.reply.opened(req, h.FH(), how)) {
		d.forgetHandle(at, h) // the kernel won't release what it didn't open
	}
	b.stats.took(at.node.file, b.now()-began)
	return true
}

// lend says how the open file will be read, in the reply's flags. Who opens it with
// O_DIRECT reads it by requests.
func (d *device) lend(w *worker, req request, at place, h memory.Handle, now time.Duration) uint32 {
	b, length := d.sb, h.Len()
	leasable := b.leasable(at) && req.openFlags()&unix.O_DIRECT == 0 && now >= d.settles
	grant := at.lease().open(h, req.pid(), length, leasable, now, telling{
		store:   func() bool { return d.storePages(w, at.id, h) },
		drop:    func() { _ = d.invalPages(at.id) },
		resized: func(other bool) { b.resizedAlone(at, length, other) },
	})
	if grant == byStore || grant == byRead {
		b.stats.opened(at.node.file, leased)
	} else {
		b.stats.opened(at.node.file, direct)
	}
	switch grant {
	case byStore:
		d.sweeper.wake()
		return fuse.FOPEN_KEEP_CACHE
	case byRead:
		return 0
	case beside:
		b.resized(at, length)
		return openDirect
	}
	return fuse.FOPEN_DIRECT_IO
}

// readFile answers EIO when the slot was removed: its container is gone, and so is
// what the file was about.
func (d *device) readFile(w *worker, req request, p pace) bool {
	at, errno := d.sb.fileOf(req.node())
	if errno != 0 {
		d.write(w.reply.failed(req, unix.EIO))
		return true
	}
	h, ok := d.memory.Find(req.fh())
	switch {
	case !ok || h.Opening().Node != uint64(at.id):
		return d.readLost(w, req, at, p)
	case req.forPageCache():
		return d.readPages(w, req, at, h, p)
	case req.readOffset() == 0 && h.Flags()&(flagUsed|flagLeased) == flagUsed:
		if done, err := d.renew(w, at, h, p); !done {
			return false
		} else if err != nil {
			return d.refuse(w, req, at, err)
		}
	}
	if isFirstRead(req) {
		h.SetFlags(flagsRead, flagUsed|readMark(req))
	} else {
		h.SetFlags(0, flagUsed)
	}
	d.replyContent(w, req, at, h)
	return true
}

// isFirstRead reports whether a READ is one from the start, and not for the page cache.
func isFirstRead(req request) bool { return req.readOffset() == 0 && !req.forPageCache() }

// renew renders anew for an open file that is read from its start again.
func (d *device) renew(w *worker, at place, h memory.Handle, p pace) (done bool, err error) {
	began := d.sb.now()
	content, ok, err := d.sb.renderAt(at, w.scratch[:0], p)
	if !ok {
		return false, nil
	}
	if err == nil {
		err = d.publish(at.slot, h, content)
	}
	if err == nil {
		d.sb.resized(at, len(content))
		d.sb.stats.renewed(at.node.file)
		d.sb.stats.took(at.node.file, d.sb.now()-began)
	}
	return true, err
}

// replyContent answers a READ with a piece of the snapshot.
func (d *device) replyContent(w *worker, req request, at place, h memory.Handle) {
	n := h.Copy(w.reply.body()[:req.readSize()], req.readOffset())
	d.write(w.reply.done(req, n))
	d.sb.stats.read(at.node.file, n)
}

// readLost answers a READ of an open file that nothing is known of: a predecessor has
// lost its memory. What it had shown is gone, so the reader gets what is said now.
func (d *device) readLost(w *worker, req request, at place, p pace) bool {
	content, ok, err := d.sb.renderAt(at, w.scratch[:0], p)
	if !ok {
		return false
	}
	if err != nil {
		return d.refuse(w, req, at, err)
	}
	d.write(w.reply.piece(req, content))
	return true
}

func (d *device) release(req request) {
	h, ok := d.memory.Find(req.fh())
	if !ok || h.Opening().Node != uint64(req.node()) {
		return
	}
	at, errno := d.sb.placeOf(req.node())
	if errno == 0 {
		d.forgetHandle(at, h)
		return
	}
	d.sb.watches.close(h.FH(), nil) // the slot is gone, with all that was counted
	h.Free()
}

// refuse answers with an error.
func (d *device) refuse(w *worker, req request, at place, err error) bool {
	d.sb.stats.failed(at.node.file)
	d.write(w.reply.failed(req, unix.Errno(status(err))))
	return true
}
