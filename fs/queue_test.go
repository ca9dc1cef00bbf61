package fs

import (
	"testing"

	"golang.org/x/sys/unix"

	"cloister/fs/memory"
)

// stuck is a Content whose renders of some slots end when they are let.
type stuck struct {
	renderFunc
	release chan struct{}
}

func newStuck(slots ...Slot) *stuck {
	s := &stuck{release: make(chan struct{})}
	s.renderFunc = func(dst []byte, slot Slot, file int) ([]byte, error) {
		for _, id := range slots {
			if slot == id {
				<-s.release
			}
		}
		return hello(dst, slot, file)
	}
	return s
}

// More requests wait than there are places to read them to, in many slots and in one of
// them more than it may have. None delays another slot, and each gets one reply.
func TestTenThousandWait(t *testing.T) {
	var slots []Slot
	for i := range uint32(20) {
		slots = append(slots, Slot{Index: 100 + i, Generation: 1})
	}
	content := newStuck(slots...)
	b := newTestSuperblock(t, content, Options{})
	for _, id := range slots {
		if err := b.slots.add(b.newSlot(id, testOwner)); err != nil {
			t.Fatal(err)
		}
	}
	var nodes []uint64
	for _, id := range slots {
		nodes = append(nodes, b.lookup(t, id.String()+"/proc/uptime").NodeId)
	}
	k := connectFake(t, b)
	defer close(content.release)
	waiting, unique := map[uint64]bool{}, uint64(1<<20)
	for i, node := range nodes {
		n := 320
		if i == 0 {
			n = slotWaiting
		}
		for range n {
			unique += 2
			waiting[unique] = true
			k.send(opRead, unique, node, readIn(1, 0, 100, readLockOwner)) // renders, and opens nothing
		}
	}
	if len(waiting) < 10_000 || slotRenders*len(slots) <= memory.Readers {
		t.Fatalf("%d wait", len(waiting))
	}
	k.mustOpen("proc/uptime") // waits for none of them

	for range 100 { // more than may wait: those that are worked on are slotRenders
		unique += 2
		k.send(opRead, unique, nodes[0], readIn(1, 0, 100, readLockOwner))
		waiting[unique] = true
	}
	for range 100 - slotRenders {
		r := k.receive()
		if r.errno != unix.ENFILE || !waiting[r.unique] {
			t.Fatalf("got %v for %d, want ENFILE", r.errno, r.unique)
		}
		delete(waiting, r.unique)
	}
	// One after the other: the socket, unlike the kernel, has those wait who reply.
	for len(waiting) > 0 {
		content.release <- struct{}{}
		r := k.receive()
		if r.errno != 0 || !waiting[r.unique] {
			t.Fatalf("got %v for %d", r.errno, r.unique)
		}
		delete(waiting, r.unique)
	}
	q := &b.slots.find(slots[0]).queue
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) != 0 {
		t.Errorf("%d requests still wait", len(q.waiting))
	}
}
