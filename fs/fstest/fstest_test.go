package fstest

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) {
	Main()
	os.Exit(m.Run())
}

// fake is an open file whose content at its next read is what the protocol says.
type fake struct {
	content func(offset int64) []byte
	offset  int64
}

func (f *fake) ReadAt(buf []byte, offset int64) (int, error) {
	content := f.content(offset)
	n := copy(buf, content[min(offset, int64(len(content))):])
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

func (f *fake) Read(buf []byte) (int, error) {
	n, err := f.ReadAt(buf, f.offset)
	f.offset += int64(n)
	return n, err
}

func (f *fake) Seek(offset int64, _ int) (int64, error) {
	f.offset = offset
	return offset, nil
}

func (f *fake) Close() error { return nil }

// testLines are too many for 4096 bytes.
const testLines = 150

// snapshots serves a snapshot for each open, and a new one for each other read at 0.
func snapshots(e *Editions) func() (File, error) {
	return func() (File, error) {
		content, used := Append(nil, e.Next(), testLines), false
		return &fake{content: func(offset int64) []byte {
			if offset == 0 && used {
				content = Append(nil, e.Next(), testLines)
			}
			used = true
			return content
		}}, nil
	}
}

// anew renders for each read, and serves what is at the offset. So does LXCFS where its
// buffer was dropped.
func anew(e *Editions) func() (File, error) {
	return func() (File, error) {
		return &fake{content: func(int64) []byte { return Append(nil, e.Next(), testLines) }}, nil
	}
}

// shared renders for each open, into what all open files read from.
func shared(e *Editions) func() (File, error) {
	var pages []byte
	return func() (File, error) {
		pages = Append(nil, e.Next(), testLines)
		return &fake{content: func(int64) []byte { return pages }}, nil
	}
}

func TestReadersTellProtocolsApart(t *testing.T) {
	for name, tt := range map[string]struct {
		open        func(*Editions) func() (File, error)
		torn, stale func(Habit) bool
	}{
		"snapshots": {snapshots, never, never},
		"anew":      {anew, inChunks, never},
		"shared":    {shared, func(h Habit) bool { return h.Interrupted && inChunks(h) }, func(h Habit) bool { return h.Kept }},
	} {
		for _, h := range Habits() {
			if h.Kernel {
				continue
			}
			t.Run(name+"/"+h.Name, func(t *testing.T) {
				const passes = 2
				r := Reader{Habit: h, Open: tt.open(&Editions{})}
				got := r.Read(passes)
				if torn := got.Torn > 0; torn != tt.torn(h) && !mayGrow(name, h) || got.Failed != 0 || got.Passes != passes {
					t.Errorf("got %+v, want torn: %v", got, tt.torn(h))
				}
				if stale := got.Stale > 0; stale != tt.stale(h) {
					t.Errorf("got %+v, want stale: %v", got, tt.stale(h))
				}
				if bad := got.Err() != nil; bad != (got.Torn+got.Stale > 0) {
					t.Errorf("got %v", got.Err())
				}
			})
		}
	}
}

func never(Habit) bool { return false }

// inChunks: the file is longer than the reader's buffer.
func inChunks(h Habit) bool { return !strings.Contains(h.Name, "65536") }

// mayGrow: a reader whose buffer the file fits in may see more where it expects the end.
func mayGrow(protocol string, h Habit) bool { return protocol != "snapshots" && !inChunks(h) }

func TestMaxAge(t *testing.T) {
	h := Habits()[1]
	if !h.Kept {
		t.Fatalf("%q is not kept", h.Name)
	}
	r := Reader{Habit: h, Open: shared(&Editions{}), MaxAge: time.Hour}
	if got := r.Read(5); got.Err() != nil {
		t.Error(got.Err())
	}
}

func TestFailuresCount(t *testing.T) {
	for _, h := range Habits() {
		if h.Refusable {
			continue
		}
		r := Reader{Habit: h, Open: func() (File, error) { return nil, unix.EINVAL }}
		if got := r.Read(3); got.Failed != 3 || got.Refused != 0 || got.Err() == nil || !strings.Contains(got.Fault, "invalid") {
			t.Errorf("got %+v", got)
		}
	}
}

func TestParse(t *testing.T) {
	good := Append(nil, 12, 5)
	if edition, err := Parse(good); err != nil || edition != 12 {
		t.Errorf("got %d, %v", edition, err)
	}
	line := []byte("edition 00000000000000000012\n")
	for name, content := range map[string][]byte{
		"empty":        nil,
		"cut":          good[:len(good)-1],
		"first half":   good[:len(good)/2],
		"second half":  good[len(good)/2:],
		"line missing": bytes.Replace(good, line, nil, 1),
		"other line":   bytes.Replace(good, line, []byte("edition 00000000000000000013\n"), 1),
		"other end":    bytes.Replace(good, []byte("end 12 "), []byte("end 13 "), 1),
		"twice":        append(bytes.Clone(good), good...),
		"old tail":     append(bytes.Clone(good), line...),
		"no lines":     []byte("end 12 0\n"),
	} {
		if edition, err := Parse(content); err == nil {
			t.Errorf("%s: got %d, want an error", name, edition)
		}
	}
}

// The kernel's habits, of a file of the kernel's that stays as it is.
func TestReadersInProcesses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	var e Editions
	if err := os.WriteFile(file, Append(nil, e.Next(), testLines), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, h := range Habits() {
		if !h.Kernel {
			continue
		}
		fresh := Task{Habit: h.Name, File: file, Passes: 3, MaxAge: time.Hour}
		got, err := fresh.Run(context.Background())
		if err != nil || got.Err() != nil || got.Passes != 3 {
			t.Errorf("got %+v, %v", got, err)
		}
		if got.Refused > 0 && !strings.HasPrefix(h.Name, "io_uring") { // containers have none
			t.Errorf("%s: refused", h.Name)
		}
		stale := Task{Habit: h.Name, File: file, Passes: 3}
		if got, err := stale.Run(context.Background()); err != nil || got.Stale != 3 {
			t.Errorf("got %+v, %v, want it stale", got, err)
		}
	}
	missing := Task{Habit: "readv", File: file + "2", Passes: 1}
	if got, err := missing.Run(context.Background()); err != nil || got.Failed != 1 {
		t.Errorf("missing file: got %+v, %v", got, err)
	}
	if _, err := (&Task{Habit: "none"}).Run(context.Background()); err == nil {
		t.Error("no error for a habit that there is none of")
	}
}
