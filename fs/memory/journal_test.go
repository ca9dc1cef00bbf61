package memory

import (
	"bytes"
	"encoding/binary"
	"os"
	"sync"
	"testing"
)

// newRequest returns one whose body is made of its number.
func newRequest(number byte, length int) []byte {
	r := bytes.Repeat([]byte{number}, length)
	binary.NativeEndian.PutUint32(r, uint32(length))
	return r
}

func unanswered(m *Memory) map[Place][]byte {
	all := map[Place][]byte{}
	for p, r := range m.Unanswered() {
		all[p] = r
	}
	return all
}

func TestUnanswered(t *testing.T) {
	f := newFile(t)
	m := open(t, f)
	want := map[Place][]byte{3: newRequest(3, 48), Readers - 1: newRequest(63, RequestSize)}
	for p, r := range want {
		copy(m.Request(int(p)), r)
	}
	copy(m.Request(5), newRequest(5, 64))
	Clear(m.Request(5))
	var parked []Place
	for _, length := range []int{headerSize, 100, ParkedSize} {
		r := newRequest(byte(length), length)
		p, ok := m.Park(r)
		if !ok {
			t.Fatalf("a request of %d bytes is not parked", length)
		}
		want[p] = r
		parked = append(parked, p)
	}
	m.Answered(parked[1])
	delete(want, parked[1])

	for _, successor := range []string{"first", "second"} {
		m = open(t, f)
		got := unanswered(m)
		for p, r := range want {
			if !bytes.Equal(got[p], r) {
				t.Errorf("%s successor: at %d got %q, want %q", successor, p, got[p], r)
			}
		}
		if len(got) != len(want) {
			t.Errorf("%s successor: got %d requests, want %d", successor, len(got), len(want))
		}
	}
	if p, ok := m.Park(newRequest(1, 40)); !ok || p != parked[1] {
		t.Errorf("got parked at %d, %v, want the only free place below the last, %d", p, ok, parked[1])
	}
	for p := range unanswered(m) {
		m.Answered(p)
	}
	if got := unanswered(open(t, f)); len(got) != 0 {
		t.Errorf("got %v after all are answered", got)
	}
}

// A length that no request has comes from no request.
func TestUnansweredGarbage(t *testing.T) {
	f := newFile(t)
	m := open(t, f)
	for i, length := range []uint32{1, headerSize - 1, RequestSize + 1, 1<<32 - 1} {
		setLength(m.Request(i), length)
		setLength(m.parked.at(i), length)
	}
	if got := unanswered(open(t, f)); len(got) != 0 {
		t.Errorf("got %v", got)
	}
}

// A read(2) into it needs no page that is not there yet.
func TestRequestIsThere(t *testing.T) {
	f := newFile(t)
	m := open(t, f)
	before := kib(t, f)
	if got := len(m.Request(1)); got != RequestSize {
		t.Errorf("got %d bytes, want %d", got, RequestSize)
	}
	if got := kib(t, f) - before; got < RequestSize>>10 {
		t.Errorf("got %d KiB of memory, want at least %d", got, RequestSize>>10)
	}
	r := newRequest(1, RequestSize)
	copy(m.Request(1), r)
	if got := open(t, f).Request(1); !bytes.Equal(got, r) {
		t.Error("it is changed by who asks for it")
	}
}

func TestParkRefuses(t *testing.T) {
	m := newMemory(t)
	for _, length := range []int{0, headerSize - 1, ParkedSize + 1} {
		if p, ok := m.Park(make([]byte, length)); ok {
			t.Errorf("a request of %d bytes is parked at %d", length, p)
		}
	}
	for i := range Parked {
		if _, ok := m.Park(newRequest(1, 48)); !ok {
			t.Fatalf("request %d finds no place", i)
		}
	}
	if p, ok := m.Park(newRequest(1, 48)); ok {
		t.Errorf("one too many is parked at %d", p)
	}
	m.Answered(Readers + 777)
	if p, ok := m.Park(newRequest(1, 48)); !ok || p != Readers+777 {
		t.Errorf("got parked at %d, %v, want %d", p, ok, Readers+777)
	}
}

func TestParkConcurrently(t *testing.T) {
	f := newFile(t)
	m := open(t, f)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 2000 {
				r := newRequest(byte(g), 48+i%64)
				p, ok := m.Park(r)
				if !ok {
					t.Error("not parked")
					return
				}
				if got := requestAt(m.parked.at(int(p) - Readers)); !bytes.Equal(got, r) {
					t.Errorf("got %q, want %q", got, r)
				}
				m.Answered(p)
			}
		})
	}
	wg.Wait()
	if got := m.parked.count(); got != 0 {
		t.Errorf("got %d places taken, want 0", got)
	}
}

func TestParkedMemoryComesBack(t *testing.T) {
	f := newFile(t)
	m := open(t, f)
	var places []Place
	for range Parked {
		p, _ := m.Park(newRequest(1, 48))
		places = append(places, p)
	}
	if got := kib(t, f); got < Parked*ParkedSize>>10 {
		t.Fatalf("got %d KiB in use, so there is nothing to see here", got)
	}
	for _, p := range places {
		m.Answered(p)
	}
	wantKept(t, f, 1)
}

// wantKept tests that the file takes no more than what a number of pools keep.
func wantKept(t *testing.T, f *os.File, pools int64) {
	t.Helper()
	if got, most := kib(t, f), pools*keepBytes>>10+64; got > most {
		t.Errorf("got %d KiB, want at most %d", got, most)
	}
}
