package seccomp

import (
	"errors"
	"fmt"
	"hash/fnv"
	"sync/atomic"
	"unsafe"

	"cloister/internal/sys"
)

const (
	// slots is how many calls can be in service. Each may hold a thread, of which Go
	// allows 10,000.
	slots = 8192

	journalMagic   = 0x6c6e72756f6a6373 // "scjournl"
	journalVersion = 1
	headerSize     = int64(unsafe.Sizeof(slot{}))
	journalSize    = headerSize + slots*int64(unsafe.Sizeof(slot{}))
)

// ErrJournal is of a file that another version of this package has made, or something
// else. Its user goes on with a new one.
var ErrJournal = errors.New("not a journal of this version")

// journalHeader has the place of a slot.
type journalHeader struct{ magic, version uint64 }

// slot is a call in service, in memory that outlives the process.
type slot struct {
	listener     atomic.Uint64 // listenerKey; 0 if the slot is free
	note         atomic.Uint64
	attempts     atomic.Uint32 // by successors
	_            uint32
	notification sys.Notification // the kernel writes it whole or not at all
	_            [24]byte         // a slot has two cache lines of its own
}

// listenerKey is what a slot says of its listener: its name over generations.
func listenerKey(name string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name)) // never fails
	return max(h.Sum64(), 1)
}

// inUse tells that there is a call which may not have been answered.
func (s *slot) inUse() bool { return s.listener.Load() != 0 && s.notification.ID != 0 }

// reserve makes the slot ready for the kernel to write to.
func (s *slot) reserve(listener uint64) { s.listener.Store(listener) }

// clear frees the slot, and makes it zero, which the kernel insists on.
func (s *slot) clear() {
	s.listener.Store(0)
	s.note.Store(0)
	s.attempts.Store(0)
	s.notification = sys.Notification{}
}

// journal is the mapped file.
type journal struct {
	bytes []byte
	slots []slot
}

// CreateJournal returns a file for Options.Journal, in memory.
func CreateJournal() (*sys.FD, error) {
	fd, err := sys.NewSharedMemory("seccomp", journalSize)
	if err != nil {
		return nil, fmt.Errorf("create the journal of system calls: %w", err)
	}
	b, err := sys.MapSharedMemory(fd, journalSize)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("create the journal of system calls: %w", err), fd.Close())
	}
	*(*journalHeader)(unsafe.Pointer(&b[0])) = journalHeader{journalMagic, journalVersion}
	return fd, sys.UnmapSharedMemory(b)
}

func openJournal(fd *sys.FD) (*journal, error) {
	b, err := sys.MapSharedMemory(fd, journalSize)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrJournal, err)
	}
	if *(*journalHeader)(unsafe.Pointer(&b[0])) != (journalHeader{journalMagic, journalVersion}) {
		return nil, errors.Join(ErrJournal, sys.UnmapSharedMemory(b))
	}
	return &journal{b, unsafe.Slice((*slot)(unsafe.Pointer(&b[headerSize])), slots)}, nil
}

func (j *journal) close() error { return sys.UnmapSharedMemory(j.bytes) }
