package fs

import (
	"golang.org/x/sys/unix"
)

// Files of a pushed superblock are opened without a request, and read from the page
// cache as long as the kernel keeps them there: until it is told that they are others.
// Nothing is known of who has them open.

func (b *superblock) pushed() bool { return b.protocol == Pushed }

func (d *device) answerPushed(w *worker, req request, p pace) bool {
	switch op := req.opcode(); {
	case op == opOpen, op == opOpenDir: // the kernel asks once
		d.write(w.reply.failed(req, unix.ENOSYS))
		return true
	case op == opRead && req.has(readInLen):
		return d.readPushed(w, req, p)
	case op == opGetAttr && req.has(getAttrInLen):
		return d.getAttr(w, req, p)
	}
	return d.answerRare(w, req, p)
}

// readPushed answers a READ, which comes when the page cache has not what is read.
//
// A piece shorter than asked for tells the kernel where the file ends.
func (d *device) readPushed(w *worker, req request, p pace) bool {
	b, began := d.sb, d.sb.now()
	at, errno := b.fileOf(req.node())
	if errno != 0 {
		d.write(w.reply.failed(req, unix.EIO))
		return true
	}
	content, ok, err := b.renderAt(at, w.scratch[:0], p)
	if !ok {
		return false
	}
	if err != nil {
		return d.refuse(w, req, at, err)
	}
	reply := w.reply.piece(req, content)
	d.write(reply)
	b.stats.read(at.node.file, len(reply)-outHeaderLen)
	b.stats.took(at.node.file, b.now()-began)
	if !b.files[at.node.file].Stable {
		d.expiry.add(at.id, b.now()+b.maxStale)
	}
	return true
}
