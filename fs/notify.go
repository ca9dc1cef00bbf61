package fs

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// Codes of enum fuse_notify_code in include/uapi/linux/fuse.h.
const (
	notifyInvalInode = 2
	notifyInvalEntry = 3
)

// invalAttr has the kernel ask for the file's attributes again. It waits for
// nothing that a request holds: the offset of -1 spares the pages of the file.
func (d *device) invalAttr(id nodeID) {
	d.notify(invalAttrMessage(id))
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

// invalEntry has the kernel forget the name in parent and everything below it.
//
// The kernel takes the lock of parent, which a LOOKUP in it holds until it is
// answered. So this must not run on a goroutine that answers requests.
func (d *device) invalEntry(parent nodeID, name string) {
	d.notify(invalEntryMessage(parent, name))
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
func (d *device) notify(message []byte) {
	conn, err := d.file.SyscallConn()
	if err != nil {
		return
	}
	_ = conn.Control(func(fd uintptr) { _, _ = unix.Write(int(fd), message) })
}
