package keeper

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"cloister/internal/sys"
)

// store is what is kept, by name.
type store map[string]*sys.FD

// change does what a worker's message asks for. It takes over the descriptors.
func (s store) change(m message, fds []*sys.FD) error {
	name := m.get(fdName)
	switch {
	case m.has(fdStore) && (len(fds) != 1 || !validName(name)):
		closeAll(fds)
		return fmt.Errorf("keep %d descriptors as %q: want one with a valid name (raise LimitNOFILE if it is reached)", len(fds), name)
	case m.has(fdStore):
		s.put(name, fds[0])
		return nil
	case m.has(fdStoreRemove):
		s.remove(name)
	}
	closeAll(fds)
	return nil
}

func (s store) put(name string, fd *sys.FD) {
	s.remove(name)
	s[name] = fd
}

func (s store) remove(name string) {
	closeAll([]*sys.FD{s[name]})
	delete(s, name)
}

// closeAll closes descriptors, of which there are others: nothing is lost if it fails.
func closeAll(fds []*sys.FD) {
	for _, fd := range fds {
		_ = fd.Close()
	}
}

// packet is a message with descriptors.
type packet struct {
	message
	fds []int
}

// batch is how many descriptors go into one message: with the longest names it is
// still shorter than maxMessage.
const batch = 200

// greeting is what a worker is sent first; last are the lines that it ends with.
func (s store) greeting(last ...string) []packet {
	var packets []packet
	for names := range slices.Chunk(slices.Sorted(maps.Keys(s)), batch) {
		var p packet
		for _, name := range names {
			p.message = append(p.message, fdName+"="+name)
			p.fds = append(p.fds, s[name].Int())
		}
		packets = append(packets, p)
	}
	count := stored + "=" + strconv.Itoa(len(s))
	return append(packets, packet{message: append(message{count}, last...)})
}

// numbers returns the descriptors' numbers.
func (s store) numbers() map[string]int {
	numbers := map[string]int{}
	for name, fd := range s {
		numbers[name] = fd.Int()
	}
	return numbers
}
