//go:build root

package fs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"cloister/fs/fstest"
)

var chunkSizes = []int{1, 7, 512, 4096, 64 << 10}

// readChunks reads a file from its start to its end.
func readChunks(f *os.File, size int) ([]byte, error) {
	var all []byte
	buf := make([]byte, size)
	for {
		n, err := f.ReadAt(buf, int64(len(all)))
		all = append(all, buf[:n]...)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

func TestReadInChunks(t *testing.T) {
	s := mountTest(t, &editions{})
	for _, size := range chunkSizes {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			content, err := readChunks(open(t, meminfo(s)), size)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := fstest.Parse(content); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestConcurrentReadersSeeNothingTorn(t *testing.T) {
	for name, protocol := range map[string]Protocol{"leased": Exact, "direct": Direct} {
		t.Run(name, func(t *testing.T) {
			s := mountWith(t, &editions{}, Options{Protocol: protocol})
			readConcurrently(t, s)
			checkNothingIsOpen(t, s)
		})
	}
}

func readConcurrently(t *testing.T, s *Server) {
	var readers sync.WaitGroup
	fresh := s.sb.protocol == Direct
	for i := range 4 * len(chunkSizes) {
		size := chunkSizes[i%len(chunkSizes)]
		rounds := min(20*size, 400)
		readers.Go(func() {
			if err := readAgainAndAgain(meminfo(s), size, rounds, fresh); err != nil {
				t.Errorf("by %d bytes: %v", size, err)
			}
		})
	}
	readers.Wait()
}

// checkNothingIsOpen waits until the kernel has released all files.
func checkNothingIsOpen(t *testing.T, s *Server) {
	t.Helper()
	settleOpens(s)
	if held := s.sb.slots.find(testSlot).held.Load(); held != 0 {
		t.Errorf("%d bytes are still held", held)
	}
}

// readAgainAndAgain opens the file once in four rounds and rewinds it in the others.
// Each time it is to be a later edition, or at least no older one.
func readAgainAndAgain(path string, size, rounds int, fresh bool) error {
	var f *os.File
	var last uint64
	for round := range rounds {
		if round%4 == 0 {
			f.Close()
			var err error
			if f, err = os.Open(path); err != nil {
				return err
			}
		}
		content, err := readChunks(f, size)
		if err != nil {
			return err
		}
		edition, err := fstest.Parse(content)
		if err != nil {
			return err
		}
		if edition < last || fresh && edition == last {
			return fmt.Errorf("edition %d after %d", edition, last)
		}
		last = edition
	}
	return f.Close()
}

func TestKeptDescriptorIsFresh(t *testing.T) {
	for name, protocol := range map[string]Protocol{"leased": Exact, "direct": Direct} {
		t.Run(name, func(t *testing.T) {
			content := &editions{}
			f := open(t, meminfo(mountWith(t, content, Options{Protocol: protocol})))
			now := uint64(0)
			for range 3 {
				edition := rereadEdition(t, f)
				if edition < now && protocol == Direct {
					t.Errorf("got edition %d, want no older one than %d", edition, now)
				}
				for edition < now {
					edition = rereadEdition(t, f)
				}
				now = content.Next() // the world moves on
			}
		})
	}
}

// rereadEdition reads a file from its start.
func rereadEdition(t *testing.T, f *os.File) uint64 {
	t.Helper()
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	edition, err := fstest.Parse(all)
	if err != nil {
		t.Fatal(err)
	}
	return edition
}

func TestReadLargeFile(t *testing.T) {
	large := bytes.Repeat([]byte("0123456789abcde\n"), 50_000)
	s := mountTest(t, renderFunc(func(dst []byte, _ Slot, _ int) ([]byte, error) { return append(dst, large...), nil }))
	got, err := os.ReadFile(meminfo(s))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, large) {
		t.Errorf("got %d bytes, want %d", len(got), len(large))
	}
}

func TestReadEmptyFile(t *testing.T) {
	s := mountTest(t, renderFunc(func(dst []byte, _ Slot, _ int) ([]byte, error) { return dst, nil }))
	if got, err := os.ReadFile(meminfo(s)); err != nil || len(got) != 0 {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestReaderGetsTheErrnoOfARender(t *testing.T) {
	s := mountTest(t, renderFunc(func(dst []byte, _ Slot, file int) ([]byte, error) {
		switch testFiles[file].Path {
		case "proc/meminfo":
			return nil, unix.ENODEV
		case "proc/uptime":
			return nil, unix.ENOSYS
		}
		return append(dst, "fine"...), nil
	}))
	for name, want := range map[string]error{"proc/meminfo": unix.ENODEV, "proc/uptime": unix.EIO, "sys/devices/system/cpu/online": nil} {
		if _, err := os.ReadFile(filepath.Join(s.Path(testSlot), name)); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", name, err, want)
		}
	}
}

func TestSlowRenderDelaysNoOtherSlot(t *testing.T) {
	started, release := make(chan struct{}), make(chan struct{})
	s := mountTest(t, renderFunc(func(dst []byte, slot Slot, file int) ([]byte, error) {
		if slot == testSlot && testFiles[file].Path == "proc/meminfo" {
			started <- struct{}{}
			<-release
		}
		return hello(dst, slot, file)
	}))
	other := Slot{Index: 8, Generation: 1}
	if err := s.Add(other, testOwner); err != nil {
		t.Fatal(err)
	}

	const slow = slotRenders
	var readers sync.WaitGroup
	for range slow {
		readers.Go(func() {
			if _, err := os.ReadFile(meminfo(s)); err != nil {
				t.Errorf("slow reader: %v", err)
			}
		})
	}
	for range slow {
		<-started
	}
	for range 10 {
		if _, err := os.ReadFile(filepath.Join(s.Path(other), "proc/meminfo")); err != nil {
			t.Error(err)
		}
	}
	close(release)
	readers.Wait()
}

func TestOpenFilesOfASlotAreBounded(t *testing.T) {
	large := make([]byte, 1<<20)
	s := mountTest(t, renderFunc(func(dst []byte, _ Slot, file int) ([]byte, error) {
		if testFiles[file].Path == "proc/meminfo" {
			return append(dst, large...), nil
		}
		return dst, nil
	}))
	for n := 0; ; n++ {
		fd, err := unix.Open(meminfo(s), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if errors.Is(err, unix.ENFILE) {
			break
		}
		if err != nil || n > slotBudget/len(large) {
			t.Fatalf("open %d: %v", n, err)
		}
		t.Cleanup(func() { unix.Close(fd) })
	}
}
