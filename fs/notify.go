package fs

import (
	"encoding/binary"
	"errors"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"cloister/fs/memory"
)

// Notifications are what the kernel is told without having asked.
//
// Those about pages wait for the page's lock, which a READ of the page holds until it
// is answered. So a goroutine that answers requests sends none, but for the pages of
// a file that nobody else has open: then there is no such READ. Or it has one sent, and
// does not wait for long. One about a name waits for the lock of its directory, which
// whoever lists that may hold.

// Codes of enum fuse_notify_code in include/uapi/linux/fuse.h.
const (
	notifyPoll       = 1
	notifyInvalInode = 2
	notifyInvalEntry = 3
	notifyStore      = 4
)

// storeMessage has room for a header and content that can be leased.
type storeMessage [storeHeaderLen + maxLeased]byte

const storeHeaderLen = outHeaderLen + 24

// appendStoreHeader appends a struct fuse_out_header and a struct fuse_notify_store_out
// {nodeid, offset, size, padding}, which n bytes of content follow.
func appendStoreHeader(b []byte, id nodeID, offset uint64, n int) []byte {
	b = appendOutHeader(b, storeHeaderLen+n, notifyStore, 0)
	b = binary.NativeEndian.AppendUint64(b, uint64(id))
	b = binary.NativeEndian.AppendUint64(b, offset)
	b = binary.NativeEndian.AppendUint32(b, uint32(n))
	return binary.NativeEndian.AppendUint32(b, 0)
}

// storePages puts an open file's snapshot into the page cache, and reports whether it
// is there.
func (d *device) storePages(w *worker, id nodeID, h memory.Handle) bool {
	n := h.Copy(w.store[storeHeaderLen:], 0)
	appendStoreHeader(w.store[:0], id, 0, n)
	return d.notify(w.store[:storeHeaderLen+n]) == nil
}

// invalAttr has the kernel ask for the file's attributes again. It waits for
// nothing that a request holds: the offset of -1 spares the pages of the file.
func (d *device) invalAttr(id nodeID) {
	_ = d.notify(invalMessage(id, ^uint64(0)))
}

// growMessage has the kernel know a size that may be larger than the one it has: reads by
// aio(7) and io_uring go by that and don't ask for another one, whatever invalAttr says. It
// stores the last byte. The page that this is in has no content by that, and who reads it
// asks for it.
func growMessage(id nodeID, size uint64, last byte) []byte {
	b := make([]byte, 0, storeHeaderLen+1)
	return append(appendStoreHeader(b, id, size-1, 1), last)
}

// invalPages has the kernel read the file, or list the directory, and ask for its
// attributes again.
func (d *device) invalPages(id nodeID) error {
	return d.notify(invalMessage(id, 0))
}

// invalMessage is a struct fuse_out_header and a struct
// fuse_notify_inval_inode_out {ino, off, len}.
func invalMessage(id nodeID, offset uint64) []byte {
	const length = outHeaderLen + 24
	b := appendOutHeader(make([]byte, 0, length), length, notifyInvalInode, 0)
	b = binary.NativeEndian.AppendUint64(b, uint64(id))
	b = binary.NativeEndian.AppendUint64(b, offset)
	return binary.NativeEndian.AppendUint64(b, 0)
}

// wakePoller has the kernel poll a file again, for those who wait for its events.
func (d *device) wakePoller(poller uint64) {
	_ = d.notify(pollMessage(poller))
}

// pollMessage is a struct fuse_out_header and a struct fuse_notify_poll_wakeup_out.
func pollMessage(poller uint64) []byte {
	const length = outHeaderLen + 8
	b := appendOutHeader(make([]byte, 0, length), length, notifyPoll, 0)
	return binary.NativeEndian.AppendUint64(b, poller)
}

// noticeQueue is how many notices may wait.
const noticeQueue = 1024

// notice is what takes its own time to tell: a name in the root that is to be forgotten
// with everything below it, or else the root or a file whose pages are to be dropped. The
// file's lease is told what becomes of that.
type notice struct {
	name  string
	pages place
}

// lost is called when the kernel won't be told.
func (n notice) lost() {
	if n.pages.slot != nil {
		n.pages.lease().sending()
		n.pages.lease().arrived()
	}
}

// dropPages has the kernel drop the pages of a file that are leaving, and then have the
// size of what is not in the page cache. A file has one notice in the queue, however often
// that happens.
func (d *device) dropPages(at place) {
	if at.lease().queue() {
		d.tell(notice{pages: at})
	}
}

// tell queues a notice. One that finds the queue full is lost: the kernel then keeps
// an entry that nobody asks for any more, since no two slots have the same name, or
// pages that no read(2) sees, but only a sendfile(2) or a mapping, or a size at which reads
// by io_uring end.
func (d *device) tell(n notice) {
	select {
	case d.notices <- n:
	default:
		n.lost()
	}
}

// tellQueued works off the queue until the connection is gone. To forget a name takes
// the lock of the root, which may be held by whoever lists it, so nobody waits for
// this goroutine. For the same reason file is one of its own: closing a file waits for
// those who use it.
func (d *device) tellQueued(file *os.File) {
	var tasks sync.WaitGroup
	defer func() {
		tasks.Wait()
		file.Close()
	}()
	fd, turns := int(file.Fd()), newTurns(&tasks)
	for {
		select {
		case n := <-d.notices:
			switch {
			case n.name != "":
				_ = notify(fd, invalEntryMessage(rootID, n.name))
			case turns.isHeld(n.pages.id): // lost, as what finds the queue full
				n.lost()
			default:
				turns.take(n.pages.id, func() { d.tellDropped(fd, n.pages) }, func() {})
			}
		case <-d.ended:
			return
		}
	}
}

// tellDropped has pages dropped. Of a file nothing is leased until it has told the size.
func (d *device) tellDropped(fd int, at place) {
	if at.slot == nil {
		_ = d.notifyBy(fd, invalMessage(at.id, 0))
		return
	}
	at.lease().sending()
	_ = d.notifyBy(fd, invalMessage(at.id, 0))
	at.lease().gone()
	_ = d.notifyBy(fd, invalMessage(at.id, ^uint64(0)))
	_ = d.notifyBy(fd, growMessage(at.id, at.slot.sizes[at.node.file].bytes(), 0))
	at.lease().arrived()
}

// invalEntryMessage is a struct fuse_out_header, a struct
// fuse_notify_inval_entry_out {parent, namelen, flags} and the name with a NUL.
func invalEntryMessage(parent nodeID, name string) []byte {
	length := outHeaderLen + 16 + len(name) + 1
	b := appendOutHeader(make([]byte, 0, length), length, notifyInvalEntry, 0)
	b = binary.NativeEndian.AppendUint64(b, uint64(parent))
	b = binary.NativeEndian.AppendUint32(b, uint32(len(name)))
	b = binary.NativeEndian.AppendUint32(b, 0)
	return append(append(b, name...), 0)
}

// notify returns an error if the kernel has nothing cached, or the connection is gone.
func (d *device) notify(message []byte) error {
	return d.notifyBy(d.fd, message)
}

// notifyBy is notify by another descriptor of the connection.
func (d *device) notifyBy(fd int, message []byte) error {
	d.quiet.RLock()
	defer d.quiet.RUnlock()
	d.sb.stats.notified()
	return notify(fd, message)
}

func notify(fd int, message []byte) error {
	for {
		if _, err := unix.Write(fd, message); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// quietLimit is how long notifications that are under way are waited for.
const quietLimit = 100 * time.Millisecond

// hush has no notification about pages sent any more, and waits for those that are under
// way, but not for ever: a container can hold one up. A thread in one ends by no signal as
// long as the READ that it waits for is not answered, so execve(2) would wait for it while
// nobody answers. It tries again and again instead of waiting for the lock: whoever waits
// for that holds up those who answer.
func (d *device) hush() {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	limit := time.After(quietLimit)
	for !d.quiet.TryLock() {
		select {
		case <-tick.C:
		case <-limit:
			return
		}
	}
}
