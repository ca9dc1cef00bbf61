package seccomp

import (
	"errors"
	"testing"
	"unsafe"

	"cloister/internal/sys"
)

func openTestJournal(t testing.TB, fd *sys.FD) *journal {
	t.Helper()
	j, err := openJournal(fd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := j.close(); err != nil {
			t.Error(err)
		}
	})
	return j
}

func createTestJournal(t testing.TB) *sys.FD {
	t.Helper()
	fd, err := CreateJournal()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = fd.Close() })
	return fd
}

func TestSlotHasTwoCacheLines(t *testing.T) {
	if n := unsafe.Sizeof(slot{}); n != 128 {
		t.Errorf("a slot has %d bytes", n)
	}
}

func TestJournalKeepsWhatIsInService(t *testing.T) {
	fd := createTestJournal(t)
	s := &openTestJournal(t, fd).slots[slots-1]
	s.reserve(listenerKey("l"))
	if s.inUse() {
		t.Error("a slot is in use before there is a call")
	}
	s.notification.ID = 7 // as the kernel does
	s.note.Store(42)

	kept := &openTestJournal(t, fd).slots[slots-1]
	if !kept.inUse() || kept.notification.ID != 7 || kept.note.Load() != 42 || kept.listener.Load() != listenerKey("l") {
		t.Errorf("successor finds %+v", kept)
	}
	kept.clear()
	if s.inUse() || s.notification != (sys.Notification{}) || s.note.Load() != 0 {
		t.Errorf("after clear: %+v", s)
	}
}

func TestOtherFilesAreNoJournal(t *testing.T) {
	other, err := sys.NewSharedMemory("other", journalSize)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	short, err := sys.NewSharedMemory("short", 1)
	if err != nil {
		t.Fatal(err)
	}
	defer short.Close()
	for _, fd := range []*sys.FD{other, short} {
		if _, err := New(Options{Journal: fd}); !errors.Is(err, ErrJournal) {
			t.Errorf("New: %v", err)
		}
	}
}

// What a successor finds may be anything: it only keeps what its listeners confirm.
func FuzzRecover(f *testing.F) {
	f.Add([]byte{1, 2, 3})
	f.Fuzz(func(t *testing.T, content []byte) {
		fd := createTestJournal(t)
		j := openTestJournal(t, fd)
		copy(j.bytes[headerSize:], content)
		a, err := New(Options{Journal: fd})
		if err != nil {
			t.Fatal(err)
		}
		if left := a.recover(); len(left) != 0 || len(a.free) != slots {
			t.Errorf("%d calls of no listener, %d slots free", len(left), len(a.free))
		}
		for i := range j.slots {
			s := &j.slots[i]
			if s.inUse() || s.notification != (sys.Notification{}) || s.note.Load() != 0 || s.attempts.Load() != 0 {
				t.Fatalf("slot %d still is %+v", i, s)
			}
		}
		if err := errors.Join(a.poller.Close(), a.journal.close()); err != nil {
			t.Error(err)
		}
	})
}
