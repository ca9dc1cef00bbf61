package memory

import (
	"encoding/binary"
	"iter"
	"math/bits"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The journal is places with a request in each. A request begins with its length, 32
// bits (struct fuse_in_header). While that is not 0 the request was taken from the
// kernel and is not known to be answered.
const (
	// Readers is how many goroutines can read requests.
	Readers = 64
	// RequestSize is the room for a request that is read. The kernel demands 8 KiB,
	// and more for longer WRITEs.
	RequestSize = 12 << 10
	// Parked is how many requests can wait for an answer besides those of readers.
	Parked = 1 << 16
	// ParkedSize is the longest of these.
	ParkedSize = 512

	headerSize = 40 // of struct fuse_in_header
)

// Place is where a request is kept in the journal: that of a reader, or parked.
type Place int

// Request returns what a reader, by its number, has the kernel read a request to.
//
// The memory is there and stays there: a process that is being killed in read(2) gets
// no more of it, and the kernel would lose the request.
func (m *Memory) Request(reader int) []byte {
	request := m.requestOf(reader)
	m.locked[reader].Do(func() {
		for i := 0; i < len(request); i += os.Getpagesize() {
			atomic.AddUint32((*uint32)(unsafe.Pointer(&request[i])), 0)
		}
		_ = unix.Mlock(request) // not everybody may; then it can be swapped out
	})
	return request
}

func (m *Memory) requestOf(reader int) []byte {
	at := requestsAt + reader*RequestSize
	return m.bytes[at : at+RequestSize : at+RequestSize]
}

// Clear says that a place for requests holds none: before it is read to, and after the
// reply. Precondition: it came from Request.
func Clear(request []byte) { setLength(request, 0) }

func setLength(request []byte, length uint32) {
	atomic.StoreUint32((*uint32)(unsafe.Pointer(unsafe.SliceData(request))), length)
}

// Park copies a request, so that its reader can go on. It returns false for one that is
// too long or finds no place.
//
// The reader clears its own afterwards: who dies in between leaves the request twice,
// and the kernel takes the first of two replies.
func (m *Memory) Park(request []byte) (Place, bool) {
	if len(request) < headerSize || len(request) > ParkedSize {
		return 0, false
	}
	i, ok := m.parked.take()
	if !ok {
		return 0, false
	}
	parked := m.parked.at(i)
	copy(parked[4:], request[4:])
	setLength(parked, uint32(len(request)))
	return Place(Readers + i), true
}

// RequestAt returns the request that is parked at a place.
func (m *Memory) RequestAt(p Place) []byte { return requestAt(m.parked.at(int(p) - Readers)) }

// Answered clears and frees a place. Of one where nothing is parked that is an error of
// the caller: another request may be by then.
func (m *Memory) Answered(p Place) {
	if p < Readers {
		Clear(m.requestOf(int(p)))
		return
	}
	i := int(p) - Readers
	Clear(m.parked.at(i))
	m.parked.put(i)
}

// Unanswered yields the requests that the predecessor left, each until its place is
// Answered. It is for the time before the first is read or parked.
//
// A reader's request stays where it is only until the reader begins: answer it by then
// or park it.
func (m *Memory) Unanswered() iter.Seq2[Place, []byte] {
	return func(yield func(Place, []byte) bool) {
		for left := m.unanswered; left != 0; left &= left - 1 {
			reader := bits.TrailingZeros64(left)
			request := requestAt(m.requestOf(reader))
			if request != nil && !yield(Place(reader), request) {
				return
			}
		}
		for i := range m.parked.members() {
			if !yield(Place(Readers+i), requestAt(m.parked.at(i))) {
				return
			}
		}
	}
}

// requestAt returns the request at a place, or nil if there is none.
func requestAt(place []byte) []byte {
	length := int(binary.NativeEndian.Uint32(place))
	if length < headerSize || length > len(place) {
		return nil
	}
	return place[:length:length]
}

// recoverRequests finds the requests that are not answered.
func (m *Memory) recoverRequests(f *os.File) (err error) {
	for s := range dataSections(f, section{requestsAt, requestsAt + Readers*RequestSize}, &err) {
		for i := (s.from - requestsAt) / RequestSize; i*RequestSize < s.to-requestsAt; i++ {
			if requestAt(m.requestOf(int(i))) != nil {
				m.unanswered |= 1 << i
			}
		}
	}
	for s := range dataSections(f, section{parkedAt, parkedAt + Parked*ParkedSize}, &err) {
		for i := (s.from - parkedAt) / ParkedSize; i < (s.to-parkedAt)/ParkedSize; i++ {
			if requestAt(m.parked.at(int(i))) != nil {
				m.parked.claim(int(i))
			}
		}
	}
	return err
}
