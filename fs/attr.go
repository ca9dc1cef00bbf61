package fs

import (
	"math/bits"

	"github.com/hanwen/go-fuse/v2/fuse"

	"cloister/fs/memory"
)

// attr returns the attributes that a thread is told.
func (b *superblock) attr(p place, asker uint32) fuse.Attr {
	a := fuse.Attr{Ino: p.id.ino(), Nlink: 1, Mode: rootMode, Blksize: minSize}
	since := b.since
	if p.slot != nil {
		a.Mode = p.node.mode
		if !p.node.isDir() {
			b.fillSize(p, &a, asker)
		}
		a.Owner = fuse.Owner{Uid: p.slot.owner.UID, Gid: p.slot.owner.GID}
		since = p.slot.since
	}
	a.SetTimes(&since, &since, &since)
	return a
}

// fillSize sets the size, and what else keeps coreutils from trusting it: files of no
// more than one block are read through, and cp looks for holes in files that have fewer
// blocks than their size. The kernel takes powers of two only.
//
// A file whose content is in the page cache has its length: reads there end at it.
func (b *superblock) fillSize(p place, a *fuse.Attr, asker uint32) {
	size := p.slot.sizes[p.node.file].bytes()
	if !b.pushed() {
		if leased := p.slot.leases.tellSize(p.node.file, asker, b.now()); leased != 0 {
			size = uint64(leased)
		}
	}
	setSize(a, size)
}

func setSize(a *fuse.Attr, size uint64) {
	a.Size = size
	a.Blocks = (a.Size + 511) / 512
	a.Blksize = uint32(max(minSize, uint64(1)<<bits.Len64(max(a.Size, 1)-1)))
}

// getAttr tells the size of what the reader is going to read, which may be new.
func (d *device) getAttr(w *worker, req request, p pace) bool {
	at, errno := d.sb.placeOf(req.node())
	if errno != 0 {
		d.write(w.reply.failed(req, errno))
		return true
	}
	h, open := d.attrHandle(req, at)
	asked := open
	if open && at.lease().stale(h) {
		if p == quick {
			return false
		}
		h.SetFlags(flagGrown, 0) // of content that has been dropped
		d.refresh(w, req, at, h)
		asked = h.Flags()&flagGrown == 0 // else the kernel is to ask once more
	}
	var out fuse.AttrOut
	var ok bool
	if out.Attr, ok = d.sb.measured(at, req.pid(), p); !ok {
		return false
	}
	out.SetTimeout(cacheTime)
	d.write(w.reply.attr(req, &out))
	if asked {
		h.SetFlags(flagGrown, 0)
	}
	return true
}

// attrHandle finds the open file that a GETATTR was sent for.
func (d *device) attrHandle(req request, at place) (memory.Handle, bool) {
	fh, ok := req.attrHandle()
	if !ok || !at.isFile() || d.sb.pushed() {
		return memory.Handle{}, false
	}
	return d.memory.Find(fh)
}

// measured returns the attributes, unless that takes a render which may wait: of a
// pushed file.
//
// The size of one that is Stable is its length: it is the same when the kernel asks again, and
// when it reads. All others are shown with a size that is not less, and the READ, which is
// short, tells where they end.
func (b *superblock) measured(at place, asker uint32, p pace) (a fuse.Attr, ok bool) {
	if !at.isFile() || !b.pushed() {
		return b.attr(at, asker), true
	}
	size, stable := &at.slot.sizes[at.node.file], b.files[at.node.file].Stable
	if !stable && size.known() {
		return b.attr(at, asker), true
	}
	w := b.dev.workers.Get().(*worker)
	defer b.dev.workers.Put(w)
	content, ok, err := b.renderAt(at, w.scratch[:0], p)
	if !ok {
		return a, false
	}
	if err == nil { // who reads it is told of the error
		size.raise(len(content))
	}
	a = b.attr(at, asker)
	if err == nil && stable {
		setSize(&a, uint64(len(content)))
	}
	return a, true
}

// SetAttr lets a file be truncated, as it is when a shell redirects to it, and
// nothing else be changed.
func (b *superblock) SetAttr(_ <-chan struct{}, in *fuse.SetAttrIn, out *fuse.AttrOut) fuse.Status {
	p, st := b.place(in.NodeId)
	if !st.Ok() {
		return st
	}
	if in.Valid&(fuse.FATTR_MODE|fuse.FATTR_UID|fuse.FATTR_GID) != 0 {
		return fuse.EPERM
	}
	out.Attr = b.attr(p, in.Caller.Pid)
	out.SetTimeout(cacheTime)
	return fuse.OK
}
