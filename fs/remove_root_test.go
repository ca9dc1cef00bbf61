//go:build root

package fs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"cloister/fs/fstest"
)

func TestRemove(t *testing.T) {
	s := mountTest(t, renderFunc(hello))
	bound := bindFile(t, meminfo(s))
	kept := open(t, meminfo(s))
	if _, err := kept.Read(make([]byte, 3)); err != nil {
		t.Fatal(err)
	}

	s.Remove(testSlot)
	s.Remove(testSlot)

	// What the kernel has of it goes with the next sweep.
	for {
		_, err := kept.ReadAt(make([]byte, 3), 0)
		if errors.Is(err, unix.EIO) {
			break
		}
		if err != nil {
			t.Fatalf("read of an open file: got %v, want EIO", err)
		}
		runtime.Gosched()
	}
	if err := openClose(bound, unix.O_RDONLY); !errors.Is(err, unix.ESTALE) {
		t.Errorf("open through a bind mount: got %v, want ESTALE", err)
	}
	// The kernel was told that it may keep these names for an hour. That it is to
	// forget them is told on another goroutine.
	for _, path := range []string{s.Path(testSlot), meminfo(s)} {
		for {
			_, err := os.Stat(path)
			if errors.Is(err, fs.ErrNotExist) {
				break
			}
			if err != nil && !errors.Is(err, unix.ESTALE) {
				t.Fatalf("stat %s: got %v, want that it doesn't exist", path, err)
			}
		}
	}
	entries, err := os.ReadDir(filepath.Dir(s.Path(testSlot)))
	if err != nil || len(entries) != 0 {
		t.Errorf("the root still has %v, %v", entries, err)
	}

	next := Slot{Index: testSlot.Index, Generation: testSlot.Generation + 1}
	if err := s.Add(next, testOwner); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(filepath.Join(s.Path(next), "proc/uptime"))
	if want := next.String() + "/proc/uptime"; err != nil || string(content) != want {
		t.Errorf("next generation: got %q, %v, want %q", content, err, want)
	}
	if err := openClose(bound, unix.O_RDONLY); !errors.Is(err, unix.ESTALE) {
		t.Errorf("old bind mount of a slot that is used again: got %v, want ESTALE", err)
	}
}

// Slots come and go under readers and listings: each gets whole content or a
// clean error.
func TestAddAndRemoveUnderLoad(t *testing.T) {
	s := mountTest(t, &editions{})
	var readers sync.WaitGroup
	stop := make(chan struct{})
	for i := range 4 {
		readers.Go(func() {
			for generation := uint32(0); ; generation = (generation + 1) % 50 {
				select {
				case <-stop:
					return
				default:
				}
				path := filepath.Join(s.Path(Slot{Index: uint32(i % 2), Generation: generation}), "proc/meminfo")
				if err := readOrGone(path); err != nil {
					t.Error(err)
				}
				if _, err := os.ReadDir(s.dir); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for generation := range uint32(50) {
		for index := range uint32(2) {
			slot := Slot{Index: index, Generation: generation}
			if err := s.Add(slot, testOwner); err != nil {
				t.Error(err)
			}
			if content, err := os.ReadFile(filepath.Join(s.Path(slot), "proc/meminfo")); err != nil {
				t.Error(err)
			} else if _, err := fstest.Parse(content); err != nil {
				t.Error(err)
			}
			s.Remove(slot)
		}
	}
	close(stop)
	readers.Wait()
}

func readOrGone(path string) error {
	content, err := os.ReadFile(path)
	for _, gone := range []error{fs.ErrNotExist, unix.ESTALE, unix.EIO} {
		if errors.Is(err, gone) {
			return nil
		}
	}
	if err != nil {
		return err
	}
	if _, err := fstest.Parse(content); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}
