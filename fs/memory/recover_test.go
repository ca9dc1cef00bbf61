package memory

import (
	"encoding/binary"
	"errors"
	"math"
	"os"
	"slices"
	"testing"
)

// wantConsistent tests what holds whatever the file contained at first. It returns the
// handles.
func wantConsistent(t *testing.T, m *Memory) []Handle {
	t.Helper()
	cost := int64(0)
	owners := map[block]Handle{}
	var handles []Handle
	for h := range m.Handles() {
		handles = append(handles, h)
		cost += int64(h.Cost())
		d := h.descriptor()
		if d == 0 {
			continue
		}
		if other, ok := owners[d.block()]; ok {
			t.Errorf("%#x and %#x share block %+v", h.FH(), other.FH(), d.block())
		}
		owners[d.block()] = h
		if found, ok := m.Find(h.FH()); !ok || found != h {
			t.Errorf("%#x is not found", h.FH())
		}
	}
	if count, bytes := m.Used(); count != len(handles) || bytes != cost {
		t.Errorf("got %d handles of %d bytes, want %d of %d", count, bytes, len(handles), cost)
	}
	return handles
}

// wantEmptied tests that all can be freed.
func wantEmptied(t *testing.T, m *Memory) {
	t.Helper()
	for h := range m.Handles() {
		if !h.Free() {
			t.Errorf("%#x is not freed", h.FH())
		}
	}
	for p := range m.Unanswered() {
		m.Answered(p)
	}
	if handles, bytes := m.Used(); handles != 0 || bytes != 0 {
		t.Errorf("got %d handles of %d bytes, want none", handles, bytes)
	}
	if got := m.parked.count(); got != 0 {
		t.Errorf("got %d parked requests, want none", got)
	}
}

func TestRecoverDropsInvalidHandles(t *testing.T) {
	block5 := newDescriptor(block{0, 5}, 100)
	in := func(generation, low uint64) uint64 { return generation<<generationShift | low }
	for _, test := range []struct {
		name    string
		word    uint64
		content descriptor
		kept    bool
	}{
		{"rendering", in(9, stateRendering), 0, true},
		{"rendering, content is nobody's", in(9, stateRendering), math.MaxUint64, true},
		{"open", in(9, stateOpen), block5, true},
		{"open, empty", in(9, stateOpen), 0, true},
		{"free", in(9, stateFree), block5, false},
		{"no such state", in(9, 3), block5, false},
		{"generation 0", in(0, stateOpen), block5, false},
		{"no block", in(9, stateOpen), 100 << 28, false},
		{"no such class", in(9, stateOpen), newDescriptor(block{classes, 0}, 100), false},
		{"no such block", in(9, stateOpen), newDescriptor(block{12, 256}, 100), false},
		{"no length", in(9, stateOpen), newDescriptor(block{0, 5}, 0), false},
		{"block of another size", in(9, stateOpen), newDescriptor(block{1, 5}, 100), false},
		{"longer than its block", in(9, stateOpen), newDescriptor(block{0, 5}, 4097), false},
		{"all bits", math.MaxUint64, math.MaxUint64, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFile(t)
			r := open(t, f).recordAt(1)
			r.content.Store(uint64(test.content))
			r.word.Store(test.word)
			m := open(t, f)
			if got := wantConsistent(t, m); (len(got) == 1) != test.kept {
				t.Errorf("got %d handles, want kept: %v", len(got), test.kept)
			}
			wantEmptied(t, m)
		})
	}
}

func TestRecoverDropsSharedBlocks(t *testing.T) {
	f := newFile(t)
	m := open(t, f)
	kept := publish(t, m, []byte("kept"))
	one := publish(t, m, []byte("one"))
	for range 2 {
		h := newHandle(t, m, Opening{})
		h.install(one.descriptor())
	}
	m = open(t, f)
	if got := wantConsistent(t, m); len(got) != 1 || got[0].FH() != kept.FH() {
		t.Errorf("got %v, want the first handle alone", got)
	}
	wantContent(t, publish(t, m, []byte("new")), []byte("new"))
	wantEmptied(t, m)
}

// What a predecessor had freed but not given back is given back by the successor.
func TestRecoverGivesBack(t *testing.T) {
	f := newFile(t)
	m := open(t, f)
	var last Handle
	for range 9000 {
		last = publish(t, m, make([]byte, 1500))
	}
	for range 3 {
		publish(t, m, make([]byte, 1<<20)).record.word.Store(stateFree)
	}
	for h := range m.Handles() {
		if h != last {
			h.record.word.Store(stateFree)
		}
	}
	m = open(t, f)
	wantKept(t, f, 2)
	if got := wantConsistent(t, m); len(got) != 1 || got[0].FH() != last.FH() {
		t.Errorf("got %d handles, want the last", len(got))
	}
	wantContent(t, wantConsistent(t, m)[0], make([]byte, 1500))
}

// FuzzOpen writes words anywhere where Open looks.
func FuzzOpen(f *testing.F) {
	// A seed's writes are of 11 bytes: where (1), offset (2), value (8).
	entry := func(where byte, offset uint16, value uint64) []byte {
		b := binary.NativeEndian.AppendUint16([]byte{where}, offset)
		return binary.NativeEndian.AppendUint64(b, value)
	}
	f.Add([]byte{})
	f.Add(entry(0, 1, math.MaxUint64))
	f.Add(entry(0, 2, math.MaxUint64))
	f.Add(slices.Concat(entry(1, 0, 48), entry(2, 0, 48), entry(2, 64, math.MaxUint64)))
	for word := range uint16(16) {
		f.Add(entry(3, word, math.MaxUint64))
		f.Add(slices.Concat(entry(3, word, 1<<32|2), entry(3, word+16, 1<<32|2)))
	}
	same := uint64(newDescriptor(block{0, 0}, 100))
	f.Add(slices.Concat(entry(3, 5, same), entry(3, 16+5, same), entry(3, 32, 7<<32|6), entry(3, 32+6, same)))

	f.Fuzz(func(t *testing.T, writes []byte) {
		file := newFile(t)
		defer file.Close()
		prepare(t, file)
		for ; len(writes) >= 11; writes = writes[11:] {
			where := []int64{0, requestsAt, parkedAt, handlesAt}[writes[0]%4]
			offset := int64(binary.NativeEndian.Uint16(writes[1:])) * 8
			if _, err := file.WriteAt(writes[3:11], where+offset); err != nil {
				t.Fatal(err)
			}
		}
		m, err := Open(file)
		if errors.Is(err, ErrLayout) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		use(t, m)
	})
}

// prepare leaves some of everything.
func prepare(t *testing.T, file *os.File) {
	m, err := Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := m.SetInit(make([]byte, 104)); err != nil {
		t.Fatal(err)
	}
	copy(m.Request(0), newRequest(1, 48))
	m.Park(newRequest(2, 48))
	for _, length := range []int{100, 5000, 0} {
		publish(t, m, make([]byte, length))
	}
	newHandle(t, m, Opening{})
}

// use does what a worker can do with what it finds.
func use(t *testing.T, m *Memory) {
	m.Init()
	for p, r := range m.Unanswered() {
		if len(r) < headerSize || len(r) > RequestSize {
			t.Errorf("got a request of %d bytes at %d", len(r), p)
		}
	}
	for _, h := range wantConsistent(t, m) {
		h.Note()
		h.SetFlags(0xff, 0xff00)
		if got := len(contentOf(h)); got != h.Len() {
			t.Errorf("got %d bytes, want %d", got, h.Len())
		}
		if err := h.Publish([]byte("other")); err != nil {
			t.Error(err)
		}
	}
	h := publish(t, m, []byte("new"))
	for other := range m.Handles() {
		if want := "other"; other != h && string(contentOf(other)) != want {
			t.Errorf("got %q, want %q", contentOf(other), want)
		}
	}
	wantContent(t, h, []byte("new"))
	wantConsistent(t, m)
	wantEmptied(t, m)
}
