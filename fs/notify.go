package fs

import (
	"encoding/binary"
	"os"

	"golang.org/x/sys/unix"
)

// Codes of enum fuse_notify_code in include/uapi/linux/fuse.h.
const (
	notifyPoll       = 1
	notifyInvalInode = 2
	notifyInvalEntry = 3
)

// invalAttr has the kernel ask for the file's attributes again. It waits for
// nothing that a request holds: the offset of -1 spares the pages of the file.
func (d *device) invalAttr(id nodeID) {
	notify(d.file, invalAttrMessage(id))
}

// invalAttrMessage is a struct fuse_out_header and a struct
// fuse_notify_inval_inode_out {ino, off, len}.
func invalAttrMessage(id nodeID) []byte {
	const length = outHeaderLen + 24
	b := appendOutHeader(make([]byte, 0, length), length, notifyInvalInode, 0)
	b = binary.NativeEndian.AppendUint64(b, uint64(id))
	b = binary.NativeEndian.AppendUint64(b, ^uint64(0))
	return binary.NativeEndian.AppendUint64(b, 0)
}

// wakePoller has the kernel poll a file again, for those who wait for its events.
func (d *device) wakePoller(poller uint64) {
	notify(d.file, pollMessage(poller))
}

// pollMessage is a struct fuse_out_header and a struct fuse_notify_poll_wakeup_out.
func pollMessage(poller uint64) []byte {
	const length = outHeaderLen + 8
	b := appendOutHeader(make([]byte, 0, length), length, notifyPoll, 0)
	return binary.NativeEndian.AppendUint64(b, poller)
}

// forgetQueue is how many names may wait to be forgotten.
const forgetQueue = 1024

// forget has the kernel forget a name in the root and everything below it, in its
// own time. A name that finds the queue full is not told: the kernel then keeps an
// entry that nobody asks for any more, since no two slots have the same name.
func (d *device) forget(name string) {
	select {
	case d.forgotten <- name:
	default:
	}
}

// forgetNames works off the queue until the connection is gone. To tell the kernel
// takes the lock of the root, which may be held by whoever lists it, so nobody
// waits for this goroutine. For the same reason file is one of its own: closing a
// file waits for those who use it.
func forgetNames(file *os.File, names <-chan string, done <-chan struct{}) {
	defer file.Close()
	for {
		select {
		case name := <-names:
			notify(file, invalEntryMessage(rootID, name))
		case <-done:
			return
		}
	}
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

// notify drops errors: they say that the kernel has nothing cached or that the
// connection is gone, and then there is nothing to forget. Other than
// os.File.Write, it doesn't make one notification wait for another.
func notify(file *os.File, message []byte) {
	conn, err := file.SyscallConn()
	if err != nil {
		return
	}
	_ = conn.Control(func(fd uintptr) { _, _ = unix.Write(int(fd), message) })
}
