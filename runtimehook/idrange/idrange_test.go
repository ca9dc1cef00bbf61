package idrange

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAllocateLowestFree(t *testing.T) {
	a := New(Range{100000, 4 * Size})
	first, second := allocate(t, a), allocate(t, a)
	if want := (Range{100000, Size}); first != want {
		t.Errorf("first: got %v, want %v", first, want)
	}
	if want := (Range{165536, Size}); second != want {
		t.Errorf("second: got %v, want %v", second, want)
	}
	a.Free(first)
	if again := allocate(t, a); again != first {
		t.Errorf("after a free: got %v, want %v", again, first)
	}
}

func TestAllocateExhausted(t *testing.T) {
	a := New(Range{100000, 2*Size + 1000})
	allocate(t, a)
	allocate(t, a)
	_, err := a.Allocate()
	if !errors.Is(err, ErrExhausted) || !strings.Contains(err.Error(), "idRegion") {
		t.Errorf("got %v, want ErrExhausted that names the setting", err)
	}
}

func TestAllocateAvoidsOthers(t *testing.T) {
	dir := t.TempDir()
	subuid := write(t, dir, "subuid", "alice:100000:65536\n# comment\n\ncloister:165536:65536\n")
	subgid := write(t, dir, "subgid", "bob:300000:1\n")
	a := New(Range{100000, 8 * Size}, Subordinate(subuid, subgid, filepath.Join(dir, "missing")))
	// 100000 is alice's, 165536 ours, 231072 free, 296608 holds bob's 300000.
	for _, want := range []uint32{165536, 231072, 362144} {
		if got := allocate(t, a); got.Start != want {
			t.Errorf("got %v, want start %d", got, want)
		}
	}
}

func TestAllocateReadsClaimsEveryTime(t *testing.T) {
	dir := t.TempDir()
	subuid := write(t, dir, "subuid", "")
	a := New(Range{100000, 4 * Size}, Subordinate(subuid))
	allocate(t, a)
	write(t, dir, "subuid", "late:165536:65536\n")
	if got := allocate(t, a); got.Start != 231072 {
		t.Errorf("got %v, want 231072", got)
	}
}

func TestAllocateFailsOnUnreadableClaims(t *testing.T) {
	a := New(Range{100000, 4 * Size}, Subordinate(write(t, t.TempDir(), "subuid", "alice:abc:65536\n")))
	if _, err := a.Allocate(); err == nil || !strings.Contains(err.Error(), "line 1") {
		t.Errorf("got %v, want an error that names the line", err)
	}
}

func TestClaimAndShare(t *testing.T) {
	a := New(Range{100000, 4 * Size})
	mine := Range{100000, Size}
	if err := a.Claim(mine); err != nil {
		t.Fatal(err)
	}
	if err := a.Claim(Range{150000, 10}); !errors.Is(err, ErrTaken) {
		t.Errorf("overlapping claim: got %v, want ErrTaken", err)
	}
	if err := a.Share(Range{165536, Size}); err == nil {
		t.Error("sharing a free range: got no error")
	}
	if err := a.Share(mine); err != nil {
		t.Fatal(err)
	}
	a.Free(mine)
	if got := allocate(t, a); got == mine {
		t.Error("a range with one of two containers left was given out")
	}
	a.Free(mine)
	if got := allocate(t, a); got != mine {
		t.Errorf("got %v, want the freed %v", got, mine)
	}
}

// TestConcurrent has 1000 containers come and go at once and notes, under a lock
// of its own, who holds which ids.
func TestConcurrent(t *testing.T) {
	a := New(Range{100000, 1000 * Size})
	var mu sync.Mutex
	held := map[Range]bool{} // guarded by mu
	take := func(r Range) {
		mu.Lock()
		defer mu.Unlock()
		for o := range held {
			if o.Overlaps(r) {
				t.Errorf("%v given out while %v is held", r, o)
			}
		}
		held[r] = true
	}
	drop := func(r Range) {
		mu.Lock()
		defer mu.Unlock()
		delete(held, r)
	}
	var wg sync.WaitGroup
	for range 1000 {
		wg.Go(func() {
			for range 1 + rand.IntN(3) {
				r, err := a.Allocate()
				if err != nil {
					t.Error(err)
					return
				}
				take(r)
				drop(r)
				a.Free(r)
			}
		})
	}
	wg.Wait()
	if used := a.Used(); used != 0 {
		t.Errorf("got %d ids in use at the end, want 0", used)
	}
}

func TestParseSubordinate(t *testing.T) {
	got, err := parseSubordinate(strings.NewReader("a:1:2\ncontainers:2147483647:2147483648\n1000:5:0\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := []SubordinateLine{{"a", Range{1, 2}}, {"containers", Range{2147483647, 2147483648}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, bad := range []string{"a", "a:1", ":1:2", "a:-1:2", "a:1:x", "a:4294967296:1", "a:1:2:3"} {
		if _, err := parseSubordinate(strings.NewReader(bad)); err == nil {
			t.Errorf("%q: got no error", bad)
		}
	}
}

func FuzzParseSubordinate(f *testing.F) {
	f.Add("a:1:2\n")
	f.Add("b:4294967295:4294967296\n# x")
	f.Fuzz(func(t *testing.T, text string) {
		lines, err := parseSubordinate(strings.NewReader(text))
		if err != nil {
			return
		}
		for _, l := range lines {
			if l.end() > 1<<32-1 || l.Size == 0 {
				t.Errorf("%q: range %v", text, l.Range)
			}
		}
	})
}

func allocate(t *testing.T, a *Allocator) Range {
	t.Helper()
	r, err := a.Allocate()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}
