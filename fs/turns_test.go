package fs

import (
	"sync"
	"testing"
)

// A slot that holds up its turn holds up no other, and is told when that has ended what
// it has missed.
func TestTurns(t *testing.T) {
	var tasks sync.WaitGroup
	turns := newTurns(&tasks)
	held := newNodeID(Slot{Index: 1, Generation: 1}, firstNumber, 0)
	sameSlot := newNodeID(Slot{Index: 1, Generation: 1}, firstNumber+1, 2)
	successor := newNodeID(Slot{Index: 1, Generation: 2}, firstNumber, 0)
	none := func() { t.Error("a turn was missed") }

	release := make(chan struct{})
	turns.take(held, func() { <-release }, none)
	if !turns.isHeld(held) || !turns.isHeld(sameSlot) || turns.isHeld(successor) {
		t.Error("it is not the slot that is held")
	}
	missed := 0
	turns.take(sameSlot, func() { t.Error("two turns of a slot at once") }, func() { missed++ })
	turns.take(sameSlot, func() { t.Error("two turns of a slot at once") }, func() { missed++ })
	done := make(chan struct{})
	turns.take(successor, func() { close(done) }, none)
	<-done

	close(release)
	tasks.Wait()
	if missed != 1 {
		t.Errorf("told %d times that turns were missed, want once", missed)
	}
	if turns.isHeld(held) {
		t.Error("the slot is held after the end of its turn")
	}
	again := false
	turns.take(held, func() { again = true }, none)
	tasks.Wait()
	if !again {
		t.Error("the slot has no more turns")
	}
}
