//go:build root

package fs

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// chaosReader reads a file until its standard input ends.
type chaosReader struct {
	read            func(r *chaosReader) ([]byte, error)
	chunk           int
	path            string
	kept            *os.File
	reads           int
	longest, oldest time.Duration
}

func (r *chaosReader) run() error {
	done := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(done)
	}()
	for {
		select {
		case <-done:
			fmt.Println("ok", r.reads, r.longest.Nanoseconds(), r.oldest.Nanoseconds())
			return nil
		default:
		}
		began := monotonic()
		content, err := r.read(r)
		if errors.Is(err, errSpliceRefused) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read %d: %w", r.reads, err)
		}
		n, err := checkClock(content)
		if err != nil {
			return fmt.Errorf("read %d: %w", r.reads, err)
		}
		r.reads++
		r.longest = max(r.longest, time.Duration(monotonic()-began))
		if n < began {
			r.oldest = max(r.oldest, time.Duration(began-n))
		}
		fmt.Println(r.reads)
	}
}

var errSpliceRefused = errors.New("sendfile: somebody else has the file open")

// chaosReads are the ways to read a file.
var chaosReads = map[string]func(r *chaosReader) ([]byte, error){
	"open": func(r *chaosReader) ([]byte, error) {
		f, err := os.Open(r.path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return r.readFrom(f, nil)
	},
	// drop has the kernel ask for the page again, and again.
	"drop": func(r *chaosReader) ([]byte, error) {
		f, err := os.Open(r.path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return r.readFrom(f, func() error { return unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED) })
	},
	"slow": func(r *chaosReader) ([]byte, error) {
		f, err := os.Open(r.path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		pause := func() error { time.Sleep(2 * time.Millisecond); return nil } // is what makes it slow
		return r.readFrom(f, pause)
	},
	"kept": func(r *chaosReader) ([]byte, error) {
		if err := r.keep(); err != nil {
			return nil, err
		}
		if _, err := unix.Seek(int(r.kept.Fd()), 0, io.SeekStart); err != nil {
			return nil, err
		}
		return r.readFrom(r.kept, nil)
	},
	"pread": func(r *chaosReader) ([]byte, error) {
		if err := r.keep(); err != nil {
			return nil, err
		}
		b := make([]byte, maxRead)
		n, err := unix.Pread(int(r.kept.Fd()), b, 0)
		return b[:max(0, n)], err
	},
	"sendfile": func(r *chaosReader) ([]byte, error) {
		f, err := os.Open(r.path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return sendAll(f)
	},
}

// keep has a file that stays open, for a while.
func (r *chaosReader) keep() (err error) {
	if r.reads%500 == 0 {
		r.kept.Close()
		r.kept, err = os.Open(r.path)
	}
	return err
}

// readFrom reads to the end, by read(2).
func (r *chaosReader) readFrom(f *os.File, before func() error) ([]byte, error) {
	var all []byte
	buf := make([]byte, r.chunk)
	for {
		if before != nil {
			if err := before(); err != nil {
				return nil, err
			}
		}
		n, err := unix.Read(int(f.Fd()), buf)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || n == 0 {
			return all, err
		}
		all = append(all, buf[:n]...)
	}
}

// sendAll moves a file through a pipe, which holds it whole.
func sendAll(f *os.File) ([]byte, error) {
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return nil, err
	}
	defer unix.Close(pipe[0])
	var sent int
	for {
		n, err := unix.Sendfile(pipe[1], int(f.Fd()), nil, 1<<20)
		if errors.Is(err, unix.EINVAL) && sent == 0 {
			unix.Close(pipe[1])
			return nil, errSpliceRefused
		}
		if err != nil {
			unix.Close(pipe[1])
			return nil, fmt.Errorf("sendfile: %w", err)
		}
		if n == 0 {
			break
		}
		sent += n
	}
	unix.Close(pipe[1])
	b := make([]byte, sent+1)
	n, err := unix.Read(pipe[0], b)
	return b[:max(0, n)], err
}
