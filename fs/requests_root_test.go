//go:build root

package fs

import (
	"maps"
	"os"
	"os/exec"
	"sync"
	"testing"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// counter counts the requests that reach a superblock.
type counter struct {
	*superblock

	mu   sync.Mutex
	seen map[string]int // guarded by mu
}

func (c *counter) count(request string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen[request]++
}

// take returns what was counted and begins anew.
func (c *counter) take() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	seen := c.seen
	c.seen = map[string]int{}
	return seen
}

func (c *counter) Lookup(cancel <-chan struct{}, in *fuse.InHeader, name string, out *fuse.EntryOut) fuse.Status {
	c.count("LOOKUP")
	return c.superblock.Lookup(cancel, in, name, out)
}

func (c *counter) GetAttr(cancel <-chan struct{}, in *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	c.count("GETATTR")
	return c.superblock.GetAttr(cancel, in, out)
}

func (c *counter) Open(cancel <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	c.count("OPEN")
	return c.superblock.Open(cancel, in, out)
}

func (c *counter) Read(cancel <-chan struct{}, in *fuse.ReadIn, buf []byte) (fuse.ReadResult, fuse.Status) {
	c.count("READ")
	return c.superblock.Read(cancel, in, buf)
}

func (c *counter) Flush(cancel <-chan struct{}, in *fuse.FlushIn) fuse.Status {
	c.count("FLUSH")
	return c.superblock.Flush(cancel, in)
}

func (c *counter) Lseek(cancel <-chan struct{}, in *fuse.LseekIn, out *fuse.LseekOut) fuse.Status {
	c.count("LSEEK")
	return c.superblock.Lseek(cancel, in, out)
}

func (c *counter) Statx(cancel <-chan struct{}, in *fuse.StatxIn, out *fuse.StatxOut) fuse.Status {
	c.count("STATX")
	return c.superblock.Statx(cancel, in, out)
}

func (c *counter) Access(cancel <-chan struct{}, in *fuse.AccessIn) fuse.Status {
	c.count("ACCESS")
	return c.superblock.Access(cancel, in)
}

func mountCounter(t *testing.T) (*Server, *counter) {
	t.Helper()
	sb, err := newSuperblock(testFiles, renderFunc(hello), Options{})
	if err != nil {
		t.Fatal(err)
	}
	c := &counter{superblock: sb, seen: map[string]int{}}
	dir := mountDir(t)
	file, err := mountFUSE(dir, false)
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{dir: dir, sb: sb, dev: newDevice(file, c, sb.panicked)}
	if err := s.dev.start(); err != nil {
		t.Fatal(err)
	}
	closeInCleanup(t, s)
	addTestSlot(t, s)
	return s, c
}

// What a reader costs once the kernel has seen the file. RELEASE is not
// counted, it comes when it likes.
func TestRequestsPerReader(t *testing.T) {
	s, c := mountCounter(t)
	file := meminfo(s)
	readAll := func() error { _, err := os.ReadFile(file); return err }
	list := func() error { return exec.Command("ls", "-l", file).Run() }
	for _, warm := range []func() error{readAll, list} {
		if err := warm(); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name string
		read func() error
		want map[string]int
	}{
		{"os.ReadFile", readAll, map[string]int{"OPEN": 1, "READ": 2}},
		{"open and close", func() error { return openClose(file, unix.O_RDONLY) }, map[string]int{"OPEN": 1}},
		{"ls -l", list, map[string]int{}},
		{"stat", func() error { _, err := os.Stat(file); return err }, map[string]int{}},
	} {
		c.take()
		if err := tt.read(); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if got := c.take(); !maps.Equal(got, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}
