package fstest

import (
	"errors"
	"fmt"
	"io"
)

// File is an open file. One that the kernel has is of type Descriptor.
type File interface {
	io.Reader
	io.ReaderAt
	io.Seeker
	io.Closer
}

// Habit is a way to read a file from its start to its end.
type Habit struct {
	Name string
	// Kept readers open the file once and come back to it.
	Kept bool
	// Interrupted readers let another one open and read the file between two chunks, or
	// some more of them if they are tiny.
	Interrupted bool
	// Kernel readers need a Descriptor.
	Kernel bool
	// Refusable readers go on with read(2) when the kernel can't do what they are about
	// with this file.
	Refusable bool
	// read reads all of a file, and calls between on its way.
	read func(f File, between func() error) ([]byte, error)
}

// Habits are all that are known.
func Habits() []Habit {
	var all []Habit
	for _, size := range []int{1, 512, 4096, 64 << 10} {
		all = append(all, variants(Habit{Name: fmt.Sprintf("read by %d", size), read: readBy(size)})...)
		all = append(all, variants(Habit{Name: fmt.Sprintf("pread by %d", size), read: preadBy(size)})...)
	}
	for _, h := range kernelHabits {
		h.Kernel = true
		all = append(all, variants(h)...)
	}
	return all
}

// variants are a habit, and the same on a kept descriptor and with interruptions.
func variants(h Habit) []Habit {
	kept, interrupted := h, h
	kept.Name, kept.Kept = h.Name+", kept", true
	interrupted.Name, interrupted.Interrupted = h.Name+", interrupted", true
	return []Habit{h, kept, interrupted}
}

// readBy is read(2) with a buffer of a given size.
func readBy(size int) func(File, func() error) ([]byte, error) {
	return func(f File, between func() error) ([]byte, error) {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return nil, err
		}
		return chunks(size, between, func(buf []byte, _ int64) (int, error) { return f.Read(buf) })
	}
}

// preadBy is pread(2) with a buffer of a given size.
func preadBy(size int) func(File, func() error) ([]byte, error) {
	return func(f File, between func() error) ([]byte, error) {
		return chunks(size, between, f.ReadAt)
	}
}

// stretch is how much is read at least before an interruption.
const stretch = 64

// chunks reads until the end of the file. Other than io.ReaderAt, read may return less
// than there is.
func chunks(size int, between func() error, read func(buf []byte, offset int64) (int, error)) ([]byte, error) {
	var all []byte
	buf := make([]byte, size)
	for interrupted := 0; ; {
		n, err := read(buf, int64(len(all)))
		all = append(all, buf[:n]...)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err == nil && len(all) >= interrupted+stretch {
			interrupted = len(all)
			err = between()
		}
		if err != nil {
			return nil, err
		}
	}
}
