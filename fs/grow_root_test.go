//go:build root

package fs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// Content that has grown is read to its end by who keeps the file open, also while others
// ask for the file's size and are told the old one.
func TestGrowsBetweenReads(t *testing.T) {
	for what, read := range map[string]func(*os.File, []byte) (int, error){
		"to the end": func(f *os.File, buf []byte) (int, error) {
			n, err := f.ReadAt(buf, 0)
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return n, err
		},
		"at once": func(f *os.File, buf []byte) (int, error) { return unix.Pread(int(f.Fd()), buf, 0) },
	} {
		for _, askers := range []int{0, 4} {
			t.Run(fmt.Sprintf("%s, %d ask", what, askers), func(t *testing.T) { readGrowing(t, read, askers) })
		}
	}
}

func readGrowing(t *testing.T, read func(*os.File, []byte) (int, error), askers int) {
	const changes = 30
	f, err := os.Open(meminfo(mountTest(t, growing())))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	defer askForSize(t, f, askers)()
	buf := make([]byte, 4096)
	for last, seen := 0, 0; seen < changes; {
		n, err := read(f, buf)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasSuffix(buf[:n], []byte("\n")) {
			t.Fatalf("after %d changes the %d bytes have no end", seen, n)
		}
		if n != last {
			last, seen = n, seen+1
		}
	}
}

// growing renders one byte more each time, and begins anew when that is a page.
func growing() Content {
	var length atomic.Int64
	return renderFunc(func(dst []byte, _ Slot, _ int) ([]byte, error) {
		n := length.Add(1) % maxLeased
		return append(append(dst, bytes.Repeat([]byte("x"), int(n))...), '\n'), nil
	})
}

// askForSize has tasks call fstat(2) until stop is called.
func askForSize(t *testing.T, f *os.File, tasks int) (stop func()) {
	var asking sync.WaitGroup
	var stopped atomic.Bool
	for range tasks {
		asking.Go(func() {
			for !stopped.Load() {
				if _, err := f.Stat(); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	return func() {
		stopped.Store(true)
		asking.Wait()
	}
}
