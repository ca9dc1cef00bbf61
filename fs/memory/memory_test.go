package memory

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

func newFile(t testing.TB) *os.File {
	t.Helper()
	f, err := Create()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func open(t testing.TB, f *os.File) *Memory {
	t.Helper()
	m, err := Open(f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

func newMemory(t testing.TB) *Memory {
	t.Helper()
	return open(t, newFile(t))
}

func newHandle(t testing.TB, m *Memory, o Opening) Handle {
	t.Helper()
	h, err := m.NewHandle(o)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func publish(t testing.TB, m *Memory, content []byte) Handle {
	t.Helper()
	h := newHandle(t, m, Opening{})
	if err := h.Publish(content); err != nil {
		t.Fatal(err)
	}
	return h
}

// kib returns how much memory the file takes.
func kib(t testing.TB, f *os.File) int64 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		t.Fatal(err)
	}
	return st.Blocks / 2
}

func TestOpenRefusesOtherFiles(t *testing.T) {
	other := func(change func(f *os.File)) *os.File {
		f := newFile(t)
		change(f)
		return f
	}
	short, err := os.Create(filepath.Join(t.TempDir(), "short"))
	if err != nil {
		t.Fatal(err)
	}
	defer short.Close()
	h := &header{}
	for name, f := range map[string]*os.File{
		"size":    short,
		"magic":   other(func(f *os.File) { f.WriteAt([]byte{0}, int64(unsafe.Offsetof(h.magic))) }),
		"version": other(func(f *os.File) { f.WriteAt([]byte{version + 1}, int64(unsafe.Offsetof(h.version))) }),
	} {
		t.Run(name, func(t *testing.T) {
			if m, err := Open(f); !errors.Is(err, ErrLayout) {
				t.Errorf("got %v, %v, want ErrLayout", m, err)
			}
		})
	}
}

func TestInit(t *testing.T) {
	f := newFile(t)
	m := open(t, f)
	if got := m.Init(); got != nil {
		t.Errorf("got %q before it is set", got)
	}
	if err := m.SetInit(make([]byte, maxInit+1)); !errors.Is(err, ErrTooLong) {
		t.Errorf("too long: got %v, want ErrTooLong", err)
	}
	want := bytes.Repeat([]byte("init"), maxInit/4)
	if err := m.SetInit(want); err != nil {
		t.Fatal(err)
	}
	if got := open(t, f).Init(); !bytes.Equal(got, want) {
		t.Errorf("successor got %q, want %q", got, want)
	}
}

// A worker with nothing open takes next to no memory.
func TestIdleMemory(t *testing.T) {
	f := newFile(t)
	m := open(t, f)
	Clear(m.Request(0))
	Clear(m.Request(1))
	for range m.Handles() {
		t.Error("a handle in a new file")
	}
	for range open(t, f).Unanswered() {
		t.Error("a request in a new file")
	}
	if got := kib(t, f); got > 64 {
		t.Errorf("got %d KiB, want at most 64", got)
	}
}
