package fs

import (
	"slices"
	"testing"
)

func TestSlots(t *testing.T) {
	var table slots
	first := &slot{id: Slot{7, 3}}
	if err := table.add(first); err != nil {
		t.Fatal(err)
	}
	if err := table.add(&slot{id: Slot{7, 4}}); err == nil {
		t.Error("an index was given twice")
	}
	if err := table.add(&slot{id: Slot{MaxSlots, 1}}); err == nil {
		t.Error("an index beyond the last was accepted")
	}
	for id, want := range map[Slot]*slot{
		{7, 3}: first, {7, 2}: nil, {7, 4}: nil, {8, 3}: nil, {MaxSlots, 3}: nil, {MaxSlots + 7, 3}: nil,
	} {
		if got := table.find(id); got != want {
			t.Errorf("find %v: got %v, want %v", id, got, want)
		}
	}

	if table.remove(Slot{7, 4}) {
		t.Error("another generation was removed")
	}
	if !table.remove(Slot{7, 3}) || table.remove(Slot{7, 3}) {
		t.Error("a slot must be removed once")
	}
	again := &slot{id: Slot{7, 3}}
	if err := table.add(again); err != nil {
		t.Fatal(err)
	}
	if table.serves(first) || !table.serves(again) {
		t.Error("a slot added under the same name took the place of the removed one")
	}
}

func TestSlotsInOrder(t *testing.T) {
	var table slots
	for _, i := range []uint32{MaxSlots - 1, 5, 0, 9} {
		if err := table.add(&slot{id: Slot{i, 1}}); err != nil {
			t.Fatal(err)
		}
	}
	for first, want := range map[uint64][]uint32{
		0:        {0, 5, 9, MaxSlots - 1},
		1:        {5, 9, MaxSlots - 1},
		9:        {9, MaxSlots - 1},
		MaxSlots: nil,
	} {
		var got []uint32
		for s := range table.from(first) {
			got = append(got, s.id.Index)
		}
		if !slices.Equal(got, want) {
			t.Errorf("from %d: got %v, want %v", first, got, want)
		}
	}
}

func TestSlotBudget(t *testing.T) {
	s := &slot{id: Slot{}}
	if !s.charge(slotBudget) {
		t.Error("the budget was refused")
	}
	if s.charge(1) {
		t.Error("more than the budget was granted")
	}
	s.refund(1)
	if !s.charge(1) {
		t.Error("what was given back was refused")
	}
}

func TestLeasesAreMadeOnce(t *testing.T) {
	all := make(leases, 2)
	if size := all.kernelSize(1); size != 0 || all[1].Load() != nil {
		t.Errorf("got size %d of a lease that was %p, want neither", size, all[1].Load())
	}
	first := all.at(1)
	first.size = 7
	if again := all.at(1); again != first || all.kernelSize(1) != 7 {
		t.Errorf("got lease %p with size %d, want %p and 7", again, all.kernelSize(1), first)
	}
	if other := all.at(0); other == first {
		t.Error("two files have one lease")
	}
}
