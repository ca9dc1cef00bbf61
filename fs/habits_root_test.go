//go:build root

package fs

import (
	"bytes"
	"errors"
	"os"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"cloister/fs/fstest"
)

// subject is a file that was just opened.
type subject struct {
	fd      int
	path    string
	isWhole func(content []byte) error
	fresh   bool // each read of the start is of another edition
}

// habit is something that programs do with a file of procfs, other than to read it from
// its start to its end.
type habit struct {
	name string
	do   func(s subject) error
	// kernel is what the kernel's own files answer, and more what ours may as well: they
	// can do more, or say in another way that they can't.
	kernel error
	more   []error
}

var habits = slices.Concat(readHabits, openHabits, askHabits, changeHabits)

func TestHabits(t *testing.T) {
	for name, tt := range map[string]struct {
		content Content
		opts    Options
	}{
		"leased": {&editions{}, Options{Protocol: Exact}},
		"direct": {&editions{}, Options{Protocol: Direct}},
		"pushed": {&told{}, Options{Protocol: Pushed, MaxStale: time.Hour}},
	} {
		s := mountWith(t, tt.content, tt.opts)
		for _, h := range habits {
			t.Run(name+"/"+h.name, func(t *testing.T) {
				ours := h.try(t, subject{path: meminfo(s), fresh: tt.opts.Protocol == Direct, isWhole: func(content []byte) error {
					_, err := fstest.Parse(content)
					return err
				}})
				if !slices.ContainsFunc(append(h.more, h.kernel), func(want error) bool { return errors.Is(ours, want) }) {
					t.Errorf("got %v, want %v or one of %v", ours, h.kernel, h.more)
				}
			})
		}
	}
}

// What the table says of the kernel's files is true of one that never changes.
func TestHabitsWithTheKernelsFiles(t *testing.T) {
	const file = "/proc/version"
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range habits {
		t.Run(h.name, func(t *testing.T) {
			got := h.try(t, subject{path: file, isWhole: func(content []byte) error {
				if !bytes.Equal(content, want) {
					return errors.New("torn")
				}
				return nil
			}})
			if !errors.Is(got, h.kernel) {
				t.Errorf("got %v, want %v", got, h.kernel)
			}
		})
	}
}

// try opens the subject.
func (h *habit) try(t *testing.T, s subject) error {
	t.Helper()
	fd, err := unix.Open(s.path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	s.fd = fd
	return h.do(s)
}

// whole reads the rest of a file from where it is, after what was read already.
func (s subject) whole(fd int, already []byte) error {
	content := bytes.Clone(already)
	buf := make([]byte, 64<<10)
	for {
		n, err := unix.Read(fd, buf)
		if err != nil {
			return err
		}
		if n == 0 {
			return s.isWhole(content)
		}
		content = append(content, buf[:n]...)
	}
}

// again opens a file and reads it.
func (s subject) again(path string, flags int) error {
	fd, err := unix.Open(path, flags|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return s.whole(fd, nil)
}
