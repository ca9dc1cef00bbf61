package memory

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

var (
	// ErrLayout is of a file that another version of this package has made, or
	// something else. Its user starts with a new one.
	ErrLayout = errors.New("not a worker's memory of this version")
	// ErrFull is answered as ENFILE.
	ErrFull = errors.New("no room in the worker's memory")
	// ErrTooLong is of what has more bytes than there is a place for.
	ErrTooLong = errors.New("too long for the worker's memory")
	// ErrClosed is of a handle that was freed.
	ErrClosed = errors.New("handle is closed")
)

// Memory is the mapped file. All methods are for concurrent use but Close, after which
// nothing that came from it may be used.
type Memory struct {
	bytes  []byte
	header *header

	locked     [Readers]sync.Once // readers' requests that stay in memory
	unanswered uint64             // readers, as bits, whose request the predecessor left
	parked     pool
	handles    pool
	blocks     blocks
	// locks guard the content, note and poller of the handles whose index is their
	// place, modulo. They are not in the records: the file holds no locks.
	locks [handleLocks]paddedMutex
}

const handleLocks = 256

// paddedMutex has a cache line of its own.
type paddedMutex struct {
	sync.Mutex
	_ [56]byte
}

// Create returns a file for Open, in memory. It is closed at exec: to inherit it is
// what exec.Cmd.ExtraFiles are for.
func Create() (*os.File, error) {
	fd, err := unix.MemfdCreate("worker", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, fmt.Errorf("create the worker's memory: %w", os.NewSyscallError("memfd_create", err))
	}
	f := os.NewFile(uintptr(fd), "worker's memory")
	if err := format(f); err != nil {
		f.Close()
		return nil, fmt.Errorf("create the worker's memory: %w", err)
	}
	return f, nil
}

func format(f *os.File) error {
	if err := f.Truncate(fileSize); err != nil {
		return err
	}
	// Who cut the file would have its users killed by SIGBUS.
	_, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_SEAL)
	if err != nil {
		return os.NewSyscallError("fcntl", err)
	}
	h := header{magic: magic, version: version}
	_, err = f.WriteAt(unsafe.Slice((*byte)(unsafe.Pointer(&h)), unsafe.Sizeof(h)), 0)
	return err
}

// Open maps a file that Create has made, in this process or in another one that is dead
// by now. It returns ErrLayout for any other file. The file is the caller's to close,
// which it may at once.
func Open(f *os.File) (*Memory, error) {
	m, err := mapFile(f)
	if err != nil {
		return nil, fmt.Errorf("open the worker's memory: %w", err)
	}
	if err := m.recover(f); err != nil {
		return nil, fmt.Errorf("open the worker's memory: %w", errors.Join(err, m.Close()))
	}
	return m, nil
}

func mapFile(f *os.File) (*Memory, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() != fileSize {
		return nil, ErrLayout
	}
	const flags = unix.MAP_SHARED | unix.MAP_NORESERVE
	bytes, err := unix.Mmap(int(f.Fd()), 0, fileSize, unix.PROT_READ|unix.PROT_WRITE, flags)
	if err != nil {
		return nil, os.NewSyscallError("mmap", err)
	}
	// Hosts may have huge pages for all that is shared: 2 MiB for a byte. Both are
	// refused by kernels that have neither these nor core dumps.
	_ = unix.Madvise(bytes, unix.MADV_NOHUGEPAGE)
	_ = unix.Madvise(bytes, unix.MADV_DONTDUMP)
	m := &Memory{bytes: bytes, header: (*header)(unsafe.Pointer(&bytes[0]))}
	if m.header.magic != magic || m.header.version != version {
		return nil, errors.Join(ErrLayout, m.Close())
	}
	m.parked.init(bytes[parkedAt:parkedAt+Parked*ParkedSize], ParkedSize, keepBytes)
	m.handles.init(bytes[handlesAt:handlesAt+maxHandles*recordSize], recordSize, keepBytes)
	m.blocks.init(bytes[blocksAt:])
	return m, nil
}

// recover finds out what the predecessor had in use.
func (m *Memory) recover(f *os.File) error {
	if err := m.recoverRequests(f); err != nil {
		return err
	}
	if err := m.recoverHandles(f); err != nil {
		return err
	}
	m.parked.giveBackFree()
	m.handles.giveBackFree()
	for class := range m.blocks {
		m.blocks[class].giveBackFree()
	}
	return nil
}

// Close unmaps the file, whose content stays.
func (m *Memory) Close() error { return unix.Munmap(m.bytes) }

// SetInit keeps the INIT request as the kernel sent it.
func (m *Memory) SetInit(request []byte) error {
	if len(request) > maxInit {
		return ErrTooLong
	}
	m.header.initLength.Store(0)
	copy(m.header.init[:], request)
	m.header.initLength.Store(uint32(len(request)))
	return nil
}

// Init returns the request that SetInit was called with, or nil.
func (m *Memory) Init() []byte {
	length := m.header.initLength.Load()
	if length == 0 || length > maxInit {
		return nil
	}
	return m.header.init[:length:length]
}

// SetShape keeps what a successor must have in common with who has mounted. What was kept
// before may only become longer.
func (m *Memory) SetShape(shape []byte) error {
	if len(shape) > maxShape {
		return ErrTooLong
	}
	copy(m.bytes[shapeAt:shapeAt+maxShape], shape)
	m.header.shapeLength.Store(uint32(len(shape)))
	return nil
}

// Shape returns what SetShape was called with, or nil.
func (m *Memory) Shape() []byte {
	length := m.header.shapeLength.Load()
	if length == 0 || length > maxShape {
		return nil
	}
	return m.bytes[shapeAt : shapeAt+length : shapeAt+length]
}
