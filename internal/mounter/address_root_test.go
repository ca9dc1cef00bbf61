//go:build root

package mounter_test

import (
	"syscall"
	"testing"

	"github.com/rs/zerolog"

	"cloister/internal/mounter"
	"cloister/internal/sealed"
)

// Who has found a workshop gone is told of the next.
func TestAddressAfterTheEnd(t *testing.T) {
	m := mounter.Keep(zerolog.New(zerolog.NewTestWriter(t)))
	defer m.Close()
	first, err := m.Address(0)
	if err != nil {
		t.Fatal(err)
	}
	if same, err := m.Address(first.PID + 1); err != nil || same != first {
		t.Errorf("got %+v, %v, want %+v", same, err, first)
	}
	if err := syscall.Kill(first.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	next, err := m.Address(first.PID)
	if err != nil {
		t.Fatal(err)
	}
	w, err := sealed.Open(next.PID, next.LockedFD)
	if err != nil || next.PID == first.PID {
		t.Errorf("got %+v, %v", next, err)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}
