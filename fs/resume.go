package fs

import (
	"github.com/hanwen/go-fuse/v2/fuse"

	"cloister/fs/memory"
)

// takeOver goes on where a predecessor was killed: with the files that are open, and
// with the requests that it has not answered. There are none after a mount.
func (d *device) takeOver() {
	for h := range d.memory.Handles() {
		if !h.Rendered() { // its OPEN is answered anew, or was with an error
			h.Free()
			continue
		}
		d.restore(h)
	}
	for h := range d.memory.Handles() {
		d.dropLeft(h)
	}
	if d.sb.pushed() { // what changed, or would have expired, is not known
		for s := range d.sb.slots.from(0) {
			d.changes.add(s)
		}
	}
	left := map[uint64]unanswered{} // one that was about to be parked is there twice
	for place, req := range d.memory.Unanswered() {
		if other, ok := left[request(req).unique()]; ok {
			d.memory.Answered(other.place)
		}
		left[request(req).unique()] = unanswered{place, req}
	}
	for _, u := range left {
		d.answerAgain(u.place, u.request)
	}
}

// unanswered is a request that a predecessor was asked.
type unanswered struct {
	place   memory.Place
	request request
}

// restore counts an open file. Slots that are gone have left theirs until the kernel
// releases them.
func (d *device) restore(h memory.Handle) {
	d.sweeper.wake()
	at, errno := d.sb.placeOf(nodeID(h.Opening().Node))
	if errno != 0 || !at.isFile() {
		return
	}
	at.slot.held.Add(int64(h.Cost())) // it has fitted before
	at.lease().restore(h, d.sb.now())
	d.sb.watchAgain(at, h)
}

// dropLeft has the kernel drop what a holder that has closed the file may have left while
// others have it open: who was killed can't have done so.
func (d *device) dropLeft(h memory.Handle) {
	at, errno := d.sb.placeOf(nodeID(h.Opening().Node))
	if errno == 0 && at.isFile() && d.sb.leasable(at) && at.lease().abandoned() {
		d.dropPages(at)
	}
}

// answerAgain answers a request of the journal, which may have been answered: then the
// kernel refuses the reply. What takes long waits for nobody, as ever.
func (d *device) answerAgain(place memory.Place, req request) {
	w := d.workers.Get().(*worker)
	defer d.workers.Put(w)
	if d.again(w, req) || d.answer(w, req, quick) {
		d.memory.Answered(place)
		return
	}
	if place >= memory.Readers {
		d.answerLater(place, req)
		return
	}
	parked, ok := d.memory.Park(req)
	if ok {
		d.answerLater(parked, req)
	} else {
		d.answer(w, req, slow)
	}
	d.memory.Answered(place)
}

// answerLater has a parked request answered, in its turn.
func (d *device) answerLater(parked memory.Place, req request) {
	q := d.sb.queueOf(req.node())
	if q.join(parked) {
		d.workAside(q, parked)
	}
}

// again answers what would be another request if it were handled twice.
func (d *device) again(w *worker, req request) bool {
	switch op := req.opcode(); {
	case d.sb.pushed():
		return false
	case op == opOpen && req.has(openInLen):
		return d.reopen(w, req)
	case op == opRead && req.has(readInLen) && isFirstRead(req):
		return d.reread(w, req)
	case op == opWrite && req.has(writeInLen):
		return d.rewrite(w, req)
	}
	return false
}

// reopen answers an OPEN that has an open file already: its number may have reached the
// reader. If it has not, the file is read around the page cache, which is emptied: of what
// the kernel was told before the reply nothing is known.
func (d *device) reopen(w *worker, req request) bool {
	h, ok := d.memory.FindOpening(uint64(req.node()), req.unique())
	if !ok {
		return false
	}
	at, errno := d.sb.placeOf(req.node())
	if errno != 0 {
		h.Free()
		return false
	}
	if d.write(w.reply.opened(req, h.FH(), fuse.FOPEN_DIRECT_IO)) {
		at.lease().withdraw(h)
	}
	return true
}

// reread answers a READ from the start of an open file for which that was rendered anew,
// if need be: the reader may have got the reply, and goes on to read the rest.
func (d *device) reread(w *worker, req request) bool {
	h, ok := d.memory.Find(req.fh())
	if !ok || h.Flags()&flagsRead != readMark(req) {
		return false
	}
	at, errno := d.sb.fileOf(req.node())
	if errno != 0 || h.Opening().Node != uint64(at.id) {
		return false
	}
	d.replyContent(w, req, at, h)
	return true
}

// rewrite answers a WRITE that was done: the open file has the note of it.
func (d *device) rewrite(w *worker, req request) bool {
	data := req[inHeaderLen+writeInLen:]
	h, ok := d.memory.Find(req.fh())
	if !ok || len(data) == 0 || h.Note() != string(data) {
		return false
	}
	d.write(w.reply.word(req, uint32(len(data))))
	return true
}
