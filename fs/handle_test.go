package fs

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
)

// versions returns a render whose content is "v1 ......\n", "v2 ......\n" and so on.
func versions() func() ([]byte, error) {
	n := 0
	return func() ([]byte, error) {
		n++
		return fmt.Appendf(nil, "v%d %s\n", n, strings.Repeat(".", 5+n%3)), nil
	}
}

func openTest(t *testing.T, render func() ([]byte, error)) *handle {
	t.Helper()
	snapshot, err := render()
	if err != nil {
		t.Fatal(err)
	}
	h, err := newHandle(newSlot(Slot{}, Owner{}, 1), Ref{}, snapshot)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestHandleRead(t *testing.T) {
	const v1, v2, v3 = "v1 ......\n", "v2 .......\n", "v3 .....\n"
	type read struct {
		offset uint64
		want   string
	}
	for name, reads := range map[string][]read{
		"first read is the open's":     {{0, v1}},
		"the rest is of the same":      {{0, v1}, {3, v1[3:]}, {1, v1[1:]}},
		"offset 0 again is fresh":      {{0, v1}, {0, v2}, {4, v2[4:]}, {0, v3}, {5, v3[5:]}},
		"offset 0 after another one":   {{4, v1[4:]}, {0, v2}},
		"at the end":                   {{uint64(len(v1)), ""}},
		"beyond the end":               {{1 << 40, ""}},
		"at the end, then fresh":       {{0, v1}, {uint64(len(v1)), ""}, {0, v2}},
		"the end of a longer snapshot": {{0, v1}, {0, v2}, {uint64(len(v1)), v2[len(v1):]}, {uint64(len(v2)), ""}},
	} {
		t.Run(name, func(t *testing.T) {
			render := versions()
			h := openTest(t, render)
			for i, r := range reads {
				got, err := h.read(r.offset, render)
				if err != nil || string(got) != r.want {
					t.Errorf("read %d at %d: got %q, %v, want %q", i, r.offset, got, err, r.want)
				}
			}
		})
	}
}

func TestHandleByteByByte(t *testing.T) {
	content := &editions{}
	render := func() ([]byte, error) { return content.Render(nil, Slot{}, Ref{}) }
	h := openTest(t, render)
	for round := range 3 {
		var all []byte
		for {
			rest, err := h.read(uint64(len(all)), render)
			if err != nil {
				t.Fatal(err)
			}
			if len(rest) == 0 {
				break
			}
			all = append(all, rest[0])
			if _, err := render(); err != nil { // somebody else's
				t.Fatal(err)
			}
		}
		if _, err := checkEdition(all); err != nil {
			t.Errorf("round %d: %v", round, err)
		}
	}
}

func TestHandleKeepsItsSnapshotWhenARenderFails(t *testing.T) {
	h := openTest(t, versions())
	broken := func() ([]byte, error) { return nil, syscall.ENODEV }
	for _, offset := range []uint64{0, 1} {
		if _, err := h.read(offset, broken); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := h.read(0, broken); !errors.Is(err, syscall.ENODEV) {
		t.Errorf("got %v, want the render's error", err)
	}
	if got, err := h.read(3, broken); err != nil || string(got) != "......\n" {
		t.Errorf("got %q, %v, want the rest of the first snapshot", got, err)
	}
}

func TestHandleBudget(t *testing.T) {
	s := newSlot(Slot{}, Owner{}, 1)
	const size = 1 << 20
	var open []*handle
	for {
		h, err := newHandle(s, Ref{}, make([]byte, size))
		if err != nil {
			if !errors.Is(err, syscall.ENFILE) {
				t.Errorf("got %v, want ENFILE", err)
			}
			break
		}
		open = append(open, h)
	}
	if want := slotBudget / (size + handleCost); len(open) != want {
		t.Errorf("%d handles fit, want %d", len(open), want)
	}

	large := func() ([]byte, error) { return make([]byte, slotBudget), nil }
	if _, err := open[0].read(1, large); err != nil {
		t.Error(err)
	}
	if _, err := open[0].read(0, large); !errors.Is(err, syscall.ENFILE) {
		t.Errorf("growing: got %v, want ENFILE", err)
	}
	same := func() ([]byte, error) { return make([]byte, size), nil }
	if _, err := open[0].read(0, same); err != nil {
		t.Errorf("same size: %v", err)
	}
	small := func() ([]byte, error) { return []byte("small"), nil }
	if _, err := open[0].read(0, small); err != nil {
		t.Errorf("shrinking: %v", err)
	}

	for _, h := range open {
		h.close()
	}
	if held := s.held.Load(); held != 0 {
		t.Errorf("%d bytes are still held", held)
	}
}

func TestHandles(t *testing.T) {
	var table handles
	a, b := &handle{}, &handle{}
	fa, fb := table.add(a), table.add(b)
	if fa == fb || table.find(fa) != a || table.find(fb) != b {
		t.Errorf("%d and %d do not find their handles", fa, fb)
	}
	if table.remove(fa) != a || table.remove(fa) != nil || table.find(fa) != nil {
		t.Error("a handle must be removed once")
	}
	if fc := table.add(&handle{}); fc == fa {
		t.Error("a number was used again")
	}
}
