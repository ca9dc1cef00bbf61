package memory

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
)

func TestHandleIsKept(t *testing.T) {
	f := newFile(t)
	m := open(t, f)
	o := Opening{Node: math.MaxUint64, Unique: 1 << 63}
	h := newHandle(t, m, o)
	h.SetPoller(77)
	if err := h.SetNote(strings.Repeat("n", MaxNote)); err != nil {
		t.Fatal(err)
	}
	h.SetFlags(0, 1<<24-1)
	if before := h.Flags(); !h.SetFlags(0b101, 0b1) || before != 1<<24-1 {
		t.Errorf("got flags %#x before", before)
	}

	got, ok := open(t, f).Find(h.FH())
	if !ok {
		t.Fatal("successor does not find it")
	}
	if got.Opening() != o {
		t.Errorf("got %+v, want %+v", got.Opening(), o)
	}
	if got.Poller() != 77 || got.Note() != strings.Repeat("n", MaxNote) || got.Flags() != 0xfffffb {
		t.Errorf("got poller %d, note %q, flags %#x", got.Poller(), got.Note(), got.Flags())
	}
	if got.Rendered() || got.Len() != 0 || got.Cost() != recordSize {
		t.Errorf("got rendered %v, length %d, cost %d of a new handle", got.Rendered(), got.Len(), got.Cost())
	}
	if err := got.SetNote(strings.Repeat("n", MaxNote+1)); !errors.Is(err, ErrTooLong) {
		t.Errorf("got %v for a long note, want ErrTooLong", err)
	}
}

func TestFind(t *testing.T) {
	m := newMemory(t)
	h := publish(t, m, []byte("content"))
	for name, fh := range map[string]uint64{
		"zero":             0,
		"other generation": h.FH() + 1<<32,
		"no generation":    uint64(uint32(h.FH())),
		"other index":      h.FH() + 1,
		"last index":       h.FH() | (maxHandles - 1),
		"beyond":           h.FH() | maxHandles,
		"all bits":         math.MaxUint64,
	} {
		if got, ok := m.Find(fh); ok {
			t.Errorf("%s: found %+v", name, got)
		}
	}
	if got, ok := m.Find(h.FH()); !ok || got != h {
		t.Errorf("got %+v, %v, want %+v", got, ok, h)
	}
}

// What is late does nothing to the handle that has the place by then.
func TestFreedHandle(t *testing.T) {
	m := newMemory(t)
	old := newHandle(t, m, Opening{Node: 1, Unique: 2})
	if !old.Free() || old.Free() {
		t.Error("it is not freed once")
	}
	h := newHandle(t, m, Opening{Node: 3, Unique: 4})
	if h.index() != old.index() || h.FH() == old.FH() {
		t.Fatalf("got %#x after %#x, want the same index and another generation", h.FH(), old.FH())
	}
	if err := h.Publish([]byte("content")); err != nil {
		t.Fatal(err)
	}

	flagged := old.SetFlags(0, 1)
	if old.Free() || old.SetPoller(1) || flagged || old.Copy(make([]byte, 1), 0) != 0 {
		t.Error("a freed handle can be changed or seen")
	}
	for name, err := range map[string]error{
		"note":    old.SetNote("note"),
		"publish": old.Publish([]byte("other")),
		"empty":   old.Publish(nil),
	} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%s: got %v, want ErrClosed", name, err)
		}
	}
	if old.InUse() || old.Rendered() || old.Opening() != (Opening{}) || old.Flags() != 0 || old.Poller() != 0 ||
		old.Note() != "" || old.Len() != 0 || old.Cost() != 0 || old.Copy(make([]byte, 8), 0) != 0 {
		t.Error("a freed handle tells of another one")
	}

	if h.Opening() != (Opening{Node: 3, Unique: 4}) || h.Flags() != 0 || h.Poller() != 0 || h.Note() != "" || h.Len() != 7 {
		t.Error("a freed handle changed another one")
	}
	if handles, bytes := m.Used(); handles != 1 || bytes != int64(Cost(7)) {
		t.Errorf("got %d handles of %d bytes, want 1 of %d", handles, bytes, Cost(7))
	}
}

func TestGenerationIsNeverZero(t *testing.T) {
	f := newFile(t)
	m := open(t, f)
	m.header.generation.Store(math.MaxUint32)
	if h := newHandle(t, m, Opening{}); h.FH()>>32 != 1 {
		t.Errorf("got %#x, want generation 1", h.FH())
	}
	if h := newHandle(t, open(t, f), Opening{}); h.FH()>>32 != 2 {
		t.Errorf("successor got %#x, want generation 2", h.FH())
	}
}

func TestHandles(t *testing.T) {
	m := newMemory(t)
	var want []uint64
	for i := range 200 {
		h := newHandle(t, m, Opening{Node: uint64(i) % 10, Unique: uint64(i)})
		if i%3 == 0 {
			defer h.Free()
			want = append(want, h.FH())
		} else {
			h.Free()
			h = newHandle(t, m, Opening{Node: 1000, Unique: uint64(i)})
			want = append(want, h.FH())
		}
	}
	var got []uint64
	for h := range m.Handles() {
		got = append(got, h.FH())
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %#x, want %#x", got, want)
	}
	for range m.Handles() {
		break
	}
	if h, ok := m.FindOpening(6, 66); !ok || h.Opening() != (Opening{Node: 6, Unique: 66}) {
		t.Errorf("got %+v, %v", h.Opening(), ok)
	}
	if h, ok := m.FindOpening(7, 66); ok {
		t.Errorf("found %+v of another node", h.Opening())
	}
}

func TestTooManyHandles(t *testing.T) {
	m := newMemory(t)
	h := newHandle(t, m, Opening{})
	for _, ok := m.handles.take(); ok; _, ok = m.handles.take() { // without touching them
	}
	if h, err := m.NewHandle(Opening{}); !errors.Is(err, ErrFull) {
		t.Errorf("got %+v, %v, want ErrFull", h, err)
	}
	h.Free()
	newHandle(t, m, Opening{})
}

func TestHandlesMemoryComesBack(t *testing.T) {
	const count = 100000
	f := newFile(t)
	m := open(t, f)
	for range count {
		newHandle(t, m, Opening{})
	}
	if handles, _ := open(t, f).Used(); handles != count {
		t.Errorf("successor has %d handles, want %d", handles, count)
	}
	if got := kib(t, f); got < count*recordSize>>10 {
		t.Fatalf("got %d KiB in use, so there is nothing to see here", got)
	}
	for h := range m.Handles() {
		h.Free()
	}
	wantKept(t, f, 1)
}
