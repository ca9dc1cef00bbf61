//go:build root

package fs

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"cloister/fs/fstest"
)

// Reads by io_uring of what is not in the page cache end at the size that the kernel has,
// and don't ask whether it is still that. These are its lengths in lines.
const (
	shortLines  = 10  // in front of the smallest size
	longLines   = 700 // a bit in front of the last piece that is read of longerLines
	longerLines = 707
)

// readByUring is of a process of its own.
func readByUring(t *testing.T, s *Server) (whole bool) {
	t.Helper()
	return readOnce(t, s, "io_uring").Torn == 0
}

func readOnce(t *testing.T, s *Server, habit string) fstest.Result {
	t.Helper()
	task := fstest.Task{Habit: habit, File: meminfo(s), Passes: 1, MaxAge: time.Hour}
	got, err := task.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got.Refused > 0 && strings.HasPrefix(habit, "io_uring") {
		t.Skip("the kernel has no io_uring for us")
	}
	return got
}

// mountLines serves files of some lines.
func mountLines(t *testing.T, n int64) (lines *atomic.Int64, s *Server) {
	lines = &atomic.Int64{}
	lines.Store(n)
	return lines, mountWith(t, renderFunc(func(dst []byte, _ Slot, _ int) ([]byte, error) {
		return fstest.Append(dst, uint64(fstest.Now())&^7, int(lines.Load())), nil
	}), Options{Protocol: Direct})
}

// keepOpen has the file open until the test ends: nobody has it alone.
func keepOpen(t *testing.T, s *Server) (fd int) {
	fd, err := unix.Open(meminfo(s), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	return fd
}

// Nobody has read the file before, and nobody asks for its size.
func TestUringReadsFirst(t *testing.T) {
	_, s := mountLines(t, longLines)
	if !readByUring(t, s) {
		t.Error("the first reader gets a part of the file")
	}
}

func TestUringReadsWhatHasGrown(t *testing.T) {
	lines, s := mountLines(t, shortLines)
	if !readByUring(t, s) {
		t.Error("got a part of the file")
	}
	lines.Store(longLines)
	if !readByUring(t, s) {
		t.Error("got a part of the file that has grown")
	}
}

// While others have the file open, its size is told a moment later, also to who asks for
// nothing.
func TestUringReadsWhatHasGrownBeside(t *testing.T) {
	lines, s := mountLines(t, shortLines)
	keepOpen(t, s)
	fd := keepOpen(t, s)
	buf := make([]byte, 1024)
	read := func(offset int64) int {
		n, err := fstest.ReadByUring(fd, buf, offset)
		if errors.Is(err, fstest.ErrNoUring) {
			t.Skip(err)
		}
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	read(0)
	lines.Store(longLines)
	read(0) // of new content
	for deadline := time.Now().Add(readersTimeout); read(2*minSize) == 0; {
		if time.Now().After(deadline) {
			t.Fatal("the file ends where it did")
		}
	}
}

// Pages of one open file, which end where it does, don't tell the size of others.
func TestUringReadsBesideMapping(t *testing.T) {
	lines, s := mountLines(t, longLines)
	keepOpen(t, s)
	if err := readOnce(t, s, "mmap private").Fault; err != "" {
		t.Error(err)
	}
	lines.Store(longerLines)
	if !readByUring(t, s) {
		t.Error("got a part of the file")
	}
}
