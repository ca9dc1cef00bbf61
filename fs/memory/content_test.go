package memory

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
)

func contentOf(h Handle) []byte {
	content := make([]byte, h.Len())
	return content[:h.Copy(content, 0)]
}

func wantContent(t *testing.T, h Handle, want []byte) {
	t.Helper()
	if got := contentOf(h); !bytes.Equal(got, want) {
		t.Errorf("got %d bytes %.20q, want %d bytes %.20q", len(got), got, len(want), want)
	}
	if got := h.Len(); got != len(want) {
		t.Errorf("got length %d, want %d", got, len(want))
	}
}

func TestPublish(t *testing.T) {
	f := newFile(t)
	m := open(t, f)
	h := newHandle(t, m, Opening{})
	for _, test := range []struct{ length, block int }{
		{1, 4 << 10},
		{4 << 10, 4 << 10},
		{4<<10 + 1, 8 << 10},
		{0, 0},
		{64 << 10, 64 << 10},
		{64<<10 + 1, 128 << 10},
		{MaxContent, MaxContent},
		{20, 4 << 10},
	} {
		t.Run(fmt.Sprint(test.length), func(t *testing.T) {
			want := bytes.Repeat([]byte("x"), test.length)
			if err := h.Publish(want); err != nil {
				t.Fatal(err)
			}
			wantContent(t, h, want)
			if !h.Rendered() {
				t.Error("it is not rendered")
			}
			cost := recordSize + test.block
			if _, bytes := m.Used(); h.Cost() != cost || Cost(test.length) != cost || bytes != int64(cost) {
				t.Errorf("got cost %d, %d, in all %d, want %d", h.Cost(), Cost(test.length), bytes, cost)
			}
			next, ok := open(t, f).Find(h.FH())
			if !ok || !next.Rendered() {
				t.Fatal("successor does not find it rendered")
			}
			wantContent(t, next, want)
		})
	}
	if err := h.Publish(make([]byte, MaxContent+1)); !errors.Is(err, ErrTooLong) {
		t.Errorf("got %v, want ErrTooLong", err)
	}
	wantContent(t, h, bytes.Repeat([]byte("x"), 20))
}

func TestFullOfContent(t *testing.T) {
	m := newMemory(t)
	pool := &m.blocks[classes-1]
	for _, ok := pool.take(); ok; _, ok = pool.take() { // without touching them
	}
	h := publish(t, m, []byte("before"))
	if err := h.Publish(make([]byte, MaxContent)); !errors.Is(err, ErrFull) {
		t.Errorf("got %v, want ErrFull", err)
	}
	wantContent(t, h, []byte("before"))
}

func TestCopy(t *testing.T) {
	m := newMemory(t)
	h := publish(t, m, []byte("0123456789"))
	for _, test := range []struct {
		offset uint64
		size   int
		want   string
	}{
		{0, 20, "0123456789"},
		{0, 4, "0123"},
		{8, 4, "89"},
		{10, 4, ""},
		{1 << 63, 4, ""},
	} {
		dst := make([]byte, test.size)
		if got := string(dst[:h.Copy(dst, test.offset)]); got != test.want {
			t.Errorf("%d bytes at %d: got %q, want %q", test.size, test.offset, got, test.want)
		}
	}
}

// Whoever reads sees one content, while others replace it and free the handle.
func TestContentIsWhole(t *testing.T) {
	m := newMemory(t)
	h := newHandle(t, m, Opening{})
	var writers, readers sync.WaitGroup
	for range 3 {
		writers.Go(func() {
			for i := range 3000 {
				content := bytes.Repeat([]byte{byte(i)}, 1+i%6000)
				if err := h.Publish(content); err != nil {
					t.Error(err)
				}
				publish(t, m, content).Free()
			}
		})
	}
	done := make(chan struct{})
	for range 2 {
		readers.Go(func() {
			dst := make([]byte, 8<<10)
			for {
				n := h.Copy(dst, 0)
				if i := slices.IndexFunc(dst[:n], func(c byte) bool { return c != dst[0] }); i >= 0 {
					t.Errorf("got %d at %d of content of %d", dst[i], i, dst[0])
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	writers.Wait()
	close(done)
	readers.Wait()
	if handles, bytes := m.Used(); handles != 1 || bytes != int64(h.Cost()) {
		t.Errorf("got %d handles of %d bytes, want 1 of %d", handles, bytes, h.Cost())
	}
}

func TestContentMemoryComesBack(t *testing.T) {
	for _, test := range []struct{ count, length int }{
		{10000, 1500},
		{3000, 20 << 10},
		{200, 64 << 10},
		{3, MaxContent},
	} {
		t.Run(fmt.Sprint(test.length), func(t *testing.T) {
			f := newFile(t)
			m := open(t, f)
			content := bytes.Repeat([]byte("x"), test.length)
			for range test.count {
				publish(t, m, content)
			}
			if got := kib(t, f); got < int64(test.count*test.length)>>10 {
				t.Fatalf("got %d KiB in use, so there is nothing to see here", got)
			}
			for h := range m.Handles() {
				h.Free()
			}
			pools := int64(1) // the records'
			if blockSize(classFor(test.length)) <= keptBlock {
				pools++
			}
			wantKept(t, f, pools)
		})
	}
}
