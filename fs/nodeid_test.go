package fs

import (
	"math/rand/v2"
	"testing"
)

func FuzzNodeID(f *testing.F) {
	f.Add(uint32(0), uint32(0), firstNumber, 0)
	f.Add(uint32(MaxSlots-1), uint32(1<<32-1), lastNumber, lastMember)
	f.Add(uint32(7), uint32(3), 100, 5)
	f.Fuzz(func(t *testing.T, index, generation uint32, number, member int) {
		slot := Slot{Index: index % MaxSlots, Generation: generation}
		number = firstNumber + int(uint(number)%(lastNumber-firstNumber+1))
		member = int(uint(member) % (lastMember + 1))
		id := newNodeID(slot, number, member)
		if id.index() != slot.Index || id.generation() != slot.generation() || id.number() != number || id.member() != member {
			t.Errorf("%v number %d member %d became %#x", slot, number, member, id)
		}
		if id <= rootID || id == ^nodeID(0) {
			t.Errorf("%v number %d member %d got the reserved id %#x", slot, number, member, id)
		}
		if ino := id.ino(); ino <= uint64(rootID) || ino >= 1<<32-1 {
			t.Errorf("%v number %d member %d got the reserved inode number %#x", slot, number, member, ino)
		}
	})
}

func TestNodeIDsDoNotCollide(t *testing.T) {
	type file struct {
		slot           Slot
		number, member int
	}
	edges := func(limits ...uint32) uint32 { return limits[rand.IntN(len(limits))] }
	seen := map[nodeID]file{rootID: {}}
	for range 100_000 {
		f := file{
			slot:   Slot{Index: edges(0, 1, 2, MaxSlots-1, rand.Uint32N(MaxSlots)), Generation: edges(0, 1, 1<<16, 1<<24-1, rand.Uint32N(1<<24))},
			number: int(edges(firstNumber, lastNumber, firstNumber+rand.Uint32N(lastNumber-firstNumber))),
			member: int(edges(0, 1, lastMember, rand.Uint32N(lastMember))),
		}
		id := newNodeID(f.slot, f.number, f.member)
		if other, ok := seen[id]; ok && other != f {
			t.Fatalf("%v and %v share id %#x", f, other, id)
		}
		seen[id] = f
	}
}
