package fs

import (
	"math/rand/v2"
	"testing"
)

func FuzzNodeID(f *testing.F) {
	f.Add(uint32(0), uint32(0), firstNumber)
	f.Add(uint32(MaxSlots-1), uint32(1<<32-1), lastNumber)
	f.Add(uint32(7), uint32(3), 100)
	f.Fuzz(func(t *testing.T, index, generation uint32, number int) {
		slot := Slot{Index: index % MaxSlots, Generation: generation}
		number = firstNumber + int(uint(number)%(lastNumber-firstNumber+1))
		id := newNodeID(slot, number)
		if id.slot() != slot || id.number() != number {
			t.Errorf("%v number %d became %#x, which is %v number %d", slot, number, id, id.slot(), id.number())
		}
		if id <= rootID || id == ^nodeID(0) {
			t.Errorf("%v number %d got the reserved id %#x", slot, number, id)
		}
		if ino := id.ino(); ino <= uint64(rootID) || ino >= 1<<32-1 {
			t.Errorf("%v number %d got the reserved inode number %#x", slot, number, ino)
		}
	})
}

func TestNodeIDsDoNotCollide(t *testing.T) {
	type file struct {
		slot   Slot
		number int
	}
	edges := func(limits ...uint32) uint32 { return limits[rand.IntN(len(limits))] }
	seen := map[nodeID]file{rootID: {}}
	for range 100_000 {
		f := file{
			slot:   Slot{Index: edges(0, 1, 2, MaxSlots-1, rand.Uint32N(MaxSlots)), Generation: edges(0, 1, 1<<16, 1<<32-1, rand.Uint32())},
			number: int(edges(firstNumber, lastNumber, firstNumber+rand.Uint32N(lastNumber-firstNumber))),
		}
		id := newNodeID(f.slot, f.number)
		if other, ok := seen[id]; ok && other != f {
			t.Fatalf("%v and %v share id %#x", f, other, id)
		}
		seen[id] = f
	}
}
