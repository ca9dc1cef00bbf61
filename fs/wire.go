package fs

import (
	"encoding/binary"
	"unsafe"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// Opcodes of include/uapi/linux/fuse.h that this package knows; all others are the
// protocol server's.
const (
	opLookup      = 1
	opForget      = 2
	opGetAttr     = 3
	opOpen        = 14
	opRead        = 15
	opWrite       = 16
	opRelease     = 18
	opFlush       = 25
	opInit        = 26
	opOpenDir     = 27
	opInterrupt   = 36
	opIoctl       = 39
	opPoll        = 40
	opBatchForget = 42
)

const (
	inHeaderLen  = 40
	outHeaderLen = 16
)

// request is what read(2) on /dev/fuse returns: a struct fuse_in_header {len, opcode,
// unique, nodeid, uid, gid, pid, total_extlen, padding} and what belongs to the opcode.
type request []byte

func (r request) opcode() uint32 { return binary.NativeEndian.Uint32(r[4:]) }

// unique is what the reply repeats.
func (r request) unique() uint64 { return binary.NativeEndian.Uint64(r[8:]) }

func (r request) node() nodeID { return nodeID(binary.NativeEndian.Uint64(r[16:])) }

// pid is the task that waits for the reply, 0 if this process can't see it.
func (r request) pid() uint32 { return binary.NativeEndian.Uint32(r[32:]) }

// has reports whether the body has n bytes.
func (r request) has(n int) bool { return len(r) >= inHeaderLen+n }

// u32 and u64 return a field of the body. Precondition: the body has it.
func (r request) u32(offset int) uint32 { return binary.NativeEndian.Uint32(r[inHeaderLen+offset:]) }

func (r request) u64(offset int) uint64 { return binary.NativeEndian.Uint64(r[inHeaderLen+offset:]) }

// Bodies of the requests that are answered here:
//
//	struct fuse_open_in    {u32 flags, open_flags}
//	struct fuse_read_in    {u64 fh, offset; u32 size, read_flags; u64 lock_owner; u32 flags, padding}
//	struct fuse_write_in   {u64 fh, offset; u32 size, write_flags; u64 lock_owner; u32 flags, padding}
//	struct fuse_release_in {u64 fh; u32 flags, release_flags; u64 lock_owner}
//	struct fuse_getattr_in {u32 getattr_flags, dummy; u64 fh}
//	struct fuse_poll_in    {u64 fh, kh; u32 flags, events}
const (
	openInLen    = 8
	readInLen    = 40
	writeInLen   = 40
	releaseInLen = 24
	getAttrInLen = 16
	pollInLen    = 24
)

// Flags from include/uapi/linux/fuse.h.
const (
	readLockOwner = 1 << 1 // fuse_read_in: lock_owner is set, as it is not for the page cache
	getAttrFH     = 1 << 0 // fuse_getattr_in: fh is set
)

// fh is the number of the open file that a READ, WRITE, RELEASE or POLL is about.
func (r request) fh() uint64 { return r.u64(0) }

// openFlags are those of open(2), in an OPEN.
func (r request) openFlags() uint32 { return r.u32(0) }

// readOffset and readSize say which piece a READ asks for.
func (r request) readOffset() uint64 { return r.u64(8) }

func (r request) readSize() int { return min(int(r.u32(16)), maxRead) }

// forPageCache reports whether a READ fills the page cache, and is none of a read(2)
// around it.
func (r request) forPageCache() bool { return r.u32(20)&readLockOwner == 0 }

// attrHandle is the number of the open file that a GETATTR was sent for, if it says so.
func (r request) attrHandle() (fh uint64, ok bool) { return r.u64(8), r.u32(0)&getAttrFH != 0 }

// pollHandle is the kernel's name for those who wait, in a POLL.
func (r request) pollHandle() uint64 { return r.u64(8) }

// reply is a buffer for a struct fuse_out_header {len, error, unique} and a body.
type reply []byte

// body is where the body goes.
func (r reply) body() []byte { return r[outHeaderLen:] }

// done completes a reply with a body of n bytes.
func (r reply) done(to request, n int) []byte {
	return r[:len(appendOutHeader(r[:0], outHeaderLen+n, 0, to.unique()))+n]
}

// failed makes the reply an error.
func (r reply) failed(to request, errno unix.Errno) []byte {
	return appendOutHeader(r[:0], outHeaderLen, -int32(errno), to.unique())
}

// opened makes the reply a struct fuse_open_out {fh, open_flags, backing_id}.
func (r reply) opened(to request, fh uint64, flags uint32) []byte {
	b := r.body()
	binary.NativeEndian.PutUint64(b, fh)
	binary.NativeEndian.PutUint32(b[8:], flags)
	binary.NativeEndian.PutUint32(b[12:], 0)
	return r.done(to, 16)
}

// attr makes the reply a struct fuse_attr_out.
func (r reply) attr(to request, attr *fuse.AttrOut) []byte {
	const n = int(unsafe.Sizeof(*attr))
	copy(r.body(), unsafe.Slice((*byte)(unsafe.Pointer(attr)), n))
	return r.done(to, n)
}

// word makes the reply a struct fuse_poll_out {revents, padding} or a struct
// fuse_write_out {size, padding}.
func (r reply) word(to request, v uint32) []byte {
	b := r.body()
	binary.NativeEndian.PutUint32(b, v)
	binary.NativeEndian.PutUint32(b[4:], 0)
	return r.done(to, 8)
}

// piece makes the reply what a READ asks for of content.
func (r reply) piece(to request, content []byte) []byte {
	rest := content[min(to.readOffset(), uint64(len(content))):]
	return r.done(to, copy(r.body()[:to.readSize()], rest))
}

// appendOutHeader: status is a negative errno, or the code of a notification.
func appendOutHeader(b []byte, length int, status int32, unique uint64) []byte {
	b = binary.NativeEndian.AppendUint32(b, uint32(length))
	b = binary.NativeEndian.AppendUint32(b, uint32(status))
	return binary.NativeEndian.AppendUint64(b, unique)
}
