package emul

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// hostFile is a file of the host that is read again and again. It is opened at
// the first read and then kept. Not safe for concurrent use.
type hostFile struct {
	path string
	f    *os.File
	buf  []byte
}

// read returns the whole content, which the next read overwrites.
func (h *hostFile) read() ([]byte, error) {
	if h.f == nil {
		f, err := os.Open(h.path)
		if err != nil {
			return nil, err
		}
		h.f, h.buf = f, make([]byte, 8192)
	}
	for n := 0; ; {
		if n == len(h.buf) {
			h.buf = append(h.buf, make([]byte, len(h.buf))...)
		}
		m, err := h.f.ReadAt(h.buf[n:], int64(n))
		n += m
		if errors.Is(err, io.EOF) {
			return h.buf[:n], nil
		}
		if err != nil {
			return nil, err
		}
	}
}

func (h *hostFile) close() {
	if h.f != nil {
		h.f.Close()
		h.f = nil
	}
}

// readParsed reads a host file and parses it.
func readParsed[T any](h *hostFile, parse func([]byte) (T, error)) (T, error) {
	var zero T
	b, err := h.read()
	if err != nil {
		return zero, err
	}
	v, err := parse(b)
	return v, inFile(err, h.path)
}

// inFile says in which file a text could not be parsed.
func inFile(err error, path string) error {
	if err != nil {
		err = fmt.Errorf("parse %s: %w", path, err)
	}
	return err
}

// cached is a value that is derived from files of the host, at most once per
// period. Values are immutable once made.
type cached[T any] struct {
	period time.Duration
	read   func(now time.Duration) (T, error)
	// valid, if not nil, reports whether a value still holds. It waits for nothing.
	valid func(*T) bool

	// refresh is held while the files are read: those who find the value too
	// old wait for one reading and share it. No other lock is taken below.
	refresh sync.Mutex
	current atomic.Pointer[stamped[T]]
}

type stamped[T any] struct {
	at    time.Duration // no later than the reading
	value T
}

// forever is the period of values that grow invalid, but not old.
const forever = time.Duration(1 << 62)

// get returns a value that is at most one period old at the time now.
func (c *cached[T]) get(now time.Duration) (*stamped[T], error) {
	if s := c.fresh(now); s != nil {
		return s, nil
	}
	c.refresh.Lock()
	defer c.refresh.Unlock()
	if s := c.fresh(now); s != nil {
		return s, nil
	}
	v, err := c.read(now)
	if err != nil {
		return nil, err
	}
	s := &stamped[T]{at: now, value: v}
	c.current.Store(s)
	return s, nil
}

func (c *cached[T]) fresh(now time.Duration) *stamped[T] {
	s := c.current.Load()
	if s == nil || now >= s.at+c.period || c.valid != nil && !c.valid(&s.value) {
		return nil
	}
	return s
}
