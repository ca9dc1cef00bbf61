package vm

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
)

func testCache(t *testing.T) *Cache {
	t.Helper()
	t.Setenv(CacheEnv, t.TempDir())
	c, err := OpenCache()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestTreeFillsOnce asks for one directory many times at once.
func TestTreeFillsOnce(t *testing.T) {
	c := testCache(t)
	var fills atomic.Int32
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			dir, err := c.tree("suite/package", func(dir string) error {
				fills.Add(1)
				return os.WriteFile(filepath.Join(dir, "file"), nil, 0o600)
			})
			if err != nil || !exists(filepath.Join(dir, "file")) {
				t.Errorf("got directory %s without its file, error %v", dir, err)
			}
		})
	}
	all.Wait()
	if n := fills.Load(); n != 1 {
		t.Errorf("filled %d times, want once", n)
	}
}

// TestTreeAfterFailure leaves nothing half filled.
func TestTreeAfterFailure(t *testing.T) {
	c := testCache(t)
	failure := errors.New("no network")
	if dir, err := c.tree("suite/package", func(dir string) error {
		return errors.Join(os.WriteFile(filepath.Join(dir, "half"), nil, 0o600), failure)
	}); !errors.Is(err, failure) {
		t.Fatalf("got %q and error %v, want error %v", dir, err, failure)
	}
	dir, err := c.tree("suite/package", func(string) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	if exists(filepath.Join(dir, "half")) {
		t.Error("what a failed download has left is there")
	}
}

func TestMissingProgram(t *testing.T) {
	const program = "no-such-program"
	_, err := run(t.Context(), "", nil, program)
	if want := program + " is missing"; !errors.Is(err, ErrMissing) || err.Error() != want {
		t.Errorf("got error %v, want %s", err, want)
	}
}
