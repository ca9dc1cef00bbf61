//go:build root

package fs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"cloister/fs/fstest"
)

// lines returns numbered lines of a given length in all.
func lines(length int) []byte {
	var b []byte
	for i := 0; len(b) < length; i++ {
		b = fmt.Appendf(b, "line %d\n", i)
	}
	b = b[:length]
	b[length-1] = '\n'
	return b
}

func last(b []byte, n int) string {
	all := bytes.SplitAfter(b, []byte("\n"))
	return string(bytes.Join(all[max(0, len(all)-1-n):], nil))
}

// Programs that go by the size that stat shows, for files of sizes around those
// at which it changes, that have been longer and shorter before.
func TestToolsThatTrustTheSize(t *testing.T) {
	need(t, "busybox")
	need(t, "python3")
	var served atomic.Pointer[[]byte]
	served.Store(&[]byte{})
	s := mountTest(t, renderFunc(func(dst []byte, _ Slot, _ int) ([]byte, error) { return append(dst, *served.Load()...), nil }))
	file := meminfo(s)
	copied := filepath.Join(t.TempDir(), "copy")
	for _, length := range []int{100, 4096, 4097, 8191, 8192, 8193, 12_300, 20_000, 70_000, 300_000, 8193, 50} {
		content := lines(length)
		served.Store(&content)
		all := string(content)
		for _, tt := range []struct {
			want    string
			command []string
		}{
			{all, []string{"cat", file}},
			{all, []string{"busybox", "cat", file}},
			{all, []string{"tail", "-c", "+1", file}},
			{last(content, 3), []string{"tail", "-n", "3", file}},
			{last(content, 3), []string{"busybox", "tail", "-n", "3", file}},
			{all[max(0, length-50):], []string{"tail", "-c", "50", file}},
			{all[:length-len(last(content, 2))], []string{"head", "-n", "-2", file}},
			{all[:length-10], []string{"head", "-c", "-10", file}},
			{strconv.Itoa(length), []string{"sh", "-c", `wc -c < "$0" | tr -d '\n'`, file}},
			{all, []string{"sh", "-c", `tac "$0" | tac`, file}},
			{all, []string{"sh", "-c", `cp "$0" "$1" && cat "$1"`, file, copied}},
			{all, []string{"sh", "-c", `busybox cp "$0" "$1" && cat "$1"`, file, copied}},
			{all, []string{"grep", "", file}},
			{all, []string{"python3", "-c", "import sys, shutil; shutil.copyfile(*sys.argv[1:]); sys.stdout.write(open(sys.argv[2]).read())", file, copied}},
		} {
			out, err := exec.Command(tt.command[0], tt.command[1:]...).CombinedOutput()
			if got := string(out); err != nil || got != tt.want {
				t.Errorf("%q of %d bytes: %v, gives %d bytes, want %d", tt.command[:3], length, err, len(got), len(tt.want))
			}
		}
		if got, err := os.ReadFile(file); err != nil || string(got) != all {
			t.Errorf("os.ReadFile of %d bytes: %d, %v", length, len(got), err)
		}
	}
}

// What sendfile(2) and splice(2) move is the page cache's: whole content if nobody else
// has the file open. Otherwise all that is right is the error that has their callers
// fall back to read(2): not the content of another reader, and not an end of the file.
func TestSplices(t *testing.T) {
	for name, move := range map[string]func(w, f *os.File) (int64, error){
		"sendfile": func(w, f *os.File) (int64, error) {
			n, err := unix.Sendfile(int(w.Fd()), int(f.Fd()), nil, 1<<20)
			return int64(n), err
		},
		"splice": func(w, f *os.File) (int64, error) {
			return unix.Splice(int(f.Fd()), nil, int(w.Fd()), nil, 1<<20, 0)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := mountTest(t, &editions{})
			first, second := open(t, meminfo(s)), open(t, meminfo(s))
			for _, f := range []*os.File{first, second} {
				n, content, err := through(t, f, move)
				if f == second && errors.Is(err, unix.EINVAL) {
					continue
				}
				if _, torn := fstest.Parse(content); err != nil || torn != nil {
					t.Errorf("got %d bytes, %v, %v", n, err, torn)
				}
			}
			if content, err := os.ReadFile(meminfo(s)); err != nil || !strings.HasPrefix(string(content), "edition") {
				t.Errorf("read after it: %q, %v", content, err)
			}
		})
	}
}

// Who reads ahead on a file that nobody has leased leaves nothing for those who move
// pages: these would get as much of it as another reader's content was long. What the
// task had read while it was not to be seen any more stays for a moment.
func TestReadAheadLeavesNothing(t *testing.T) {
	s := mountWith(t, &editions{}, Options{Protocol: Direct})
	const script = `
import errno, os, sys, time
beside = os.open(sys.argv[1], os.O_RDONLY)
source, pipe = os.pipe()

def moved():
    try:
        n = os.sendfile(pipe, beside, 0, 4096)
    except OSError as e:
        if e.errno != errno.EINVAL:
            raise
        return False
    os.read(source, n)
    return True

for i in range(100):
    f = os.open(sys.argv[1], os.O_RDONLY)
    os.posix_fadvise(f, 0, 0, os.POSIX_FADV_WILLNEED)
    os.read(f, 100)
    end = time.monotonic() + 20
    while moved():
        if time.monotonic() > end:
            sys.exit("what was read ahead stays")
    os.close(f)
`
	run(t, "python3", "-c", script, meminfo(s))
}

// A mapping that another call reads into, or from, is no reason to refuse its pages.
func TestMappingInACall(t *testing.T) {
	s := mountWith(t, &editions{}, Options{Protocol: Direct})
	const script = `
import mmap, os, sys
f = os.open(sys.argv[1], os.O_RDONLY)
mapping = mmap.mmap(f, 4096, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE)
zero = os.open("/dev/zero", os.O_RDONLY)
if os.readv(zero, [memoryview(mapping)[:10]]) != 10:
    sys.exit("not read into")
if os.write(os.memfd_create("x"), mapping) != 4096:
    sys.exit("not written from")
`
	run(t, "python3", "-c", script, meminfo(s))
}

// through moves a file through a pipe.
func through(t *testing.T, f *os.File, move func(w, f *os.File) (int64, error)) (int64, []byte, error) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	n, err := move(w, f)
	b := make([]byte, max(0, n))
	if n > 0 {
		if _, err := io.ReadFull(r, b); err != nil {
			t.Fatal(err)
		}
	}
	return n, b, err
}
