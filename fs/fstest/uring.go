package fstest

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// From include/uapi/linux/io_uring.h.
const (
	uringEnterGetEvents = 1
	uringOpRead         = 22
	uringOffSQEs        = 0x10000000
	uringFeatSingleMmap = 1
)

type uringOffsets struct {
	head, tail, mask, entries, flags, dropped, array, _ uint32
	_                                                   uint64
}

type uringParams struct {
	sqEntries, cqEntries, flags, cpu, idle, features, wq uint32
	_                                                    [3]uint32
	sq                                                   uringOffsets
	// cq has cqes in the place of dropped.
	cq uringOffsets
}

type uringSQE struct {
	opcode, flags uint8
	prio          uint16
	fd            int32
	offset        uint64
	addr          uint64
	length        uint32
	_             [7]uint32
}

// ErrNoUring: the kernel has none, or doesn't let us.
var ErrNoUring = errors.New("no io_uring")

// uring is a ring for one request at a time.
type uring struct {
	fd          int
	params      uringParams
	rings, sqes []byte
}

func newUring() (*uring, error) {
	u := &uring{}
	fd, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, 1, uintptr(unsafe.Pointer(&u.params)), 0)
	if errno != 0 || u.params.features&uringFeatSingleMmap == 0 {
		return nil, fmt.Errorf("%w: %w", ErrNoUring, errno)
	}
	u.fd = int(fd)
	size := max(u.params.sq.array+4*u.params.sqEntries, u.params.cq.dropped+16*u.params.cqEntries)
	var err error
	if u.rings, err = unix.Mmap(u.fd, 0, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err == nil {
		u.sqes, err = unix.Mmap(u.fd, uringOffSQEs, int(unsafe.Sizeof(uringSQE{})), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	}
	if err != nil {
		u.close()
		return nil, os.NewSyscallError("mmap", err)
	}
	return u, nil
}

func (u *uring) close() {
	for _, mapping := range [][]byte{u.rings, u.sqes} {
		if mapping != nil {
			_ = unix.Munmap(mapping)
		}
	}
	_ = unix.Close(u.fd)
}

func (u *uring) word(offset uint32) *atomic.Uint32 {
	return (*atomic.Uint32)(unsafe.Pointer(&u.rings[offset]))
}

// pread waits for the read that it submits.
func (u *uring) pread(file int, buf []byte, offset int64) (int, error) {
	*(*uringSQE)(unsafe.Pointer(&u.sqes[0])) = uringSQE{
		opcode: uringOpRead, fd: int32(file), offset: uint64(offset),
		addr: uint64(uintptr(unsafe.Pointer(&buf[0]))), length: uint32(len(buf)),
	}
	u.word(u.params.sq.array).Store(0)
	u.word(u.params.sq.tail).Add(1)
	head := u.word(u.params.cq.head)
	submit := uintptr(1)
	for head.Load() == u.word(u.params.cq.tail).Load() {
		n, _, errno := unix.Syscall6(unix.SYS_IO_URING_ENTER, uintptr(u.fd), submit, 1, uringEnterGetEvents, 0, 0)
		if errno != 0 && errno != unix.EINTR {
			return 0, os.NewSyscallError("io_uring_enter", errno)
		}
		if errno == 0 {
			submit -= n
		}
	}
	index := head.Load() & u.word(u.params.cq.mask).Load()
	result := int32(u.word(u.params.cq.dropped + 16*index + 8).Load())
	head.Add(1)
	if result < 0 {
		return 0, unix.Errno(-result)
	}
	return int(result), nil
}

// ReadByUring is pread(2) by way of a ring of its own.
func ReadByUring(file int, buf []byte, offset int64) (int, error) {
	u, err := newUring()
	if err != nil {
		return 0, err
	}
	defer u.close()
	return u.pread(file, buf, offset)
}

func readUring(f File, between func() error) ([]byte, error) {
	u, err := newUring()
	if err != nil {
		return nil, err
	}
	defer u.close()
	return chunks(1024, between, func(buf []byte, offset int64) (int, error) {
		return transferred("io_uring read", func() (int, error) { return u.pread(int(f.(Descriptor)), buf, offset) })
	})
}
