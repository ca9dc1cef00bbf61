package fs

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
)

// While others were told the old size, the kernel may believe none of the replies that say
// how much longer the content is. It is to get one that no sweep crosses.
func TestGrownIsNotSwept(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("has the numbers of amd64")
	}
	for name, told := range map[string]bool{"nobody was told": false, "somebody was told": true} {
		t.Run(name, func(t *testing.T) {
			var lines atomic.Int64
			b := newTestSuperblock(t, renderFunc(func(dst []byte, _ Slot, _ int) ([]byte, error) {
				return append(dst, strings.Repeat("x\n", int(lines.Add(1)))...), nil
			}), Options{})
			b.proc = fakeTask(t, "17 0x3 0x7f2e048ca000 0x1000 0x0 0x0 0x0"+stack64)
			if err := os.Symlink("42", filepath.Join(b.proc, "0")); err != nil { // who the fake kernel asks for
				t.Fatal(err)
			}
			k := connectFake(t, b)
			f := k.mustOpen("proc/meminfo")
			if _, errno := f.readPage(0); errno != 0 {
				t.Fatal(errno)
			}
			h, _ := k.d.memory.Find(f.fh)
			at, _ := b.fileOf(nodeID(f.node))
			l := at.lease()
			l.mu.Lock()
			l.pages, l.told = dropped, told
			l.mu.Unlock()

			if size, want := f.getattr().Size, uint64(2*lines.Load()); size != want {
				t.Errorf("is told a size of %d, want %d", size, want)
			}
			if grown := h.Flags()&flagGrown != 0; grown != told {
				t.Errorf("may be swept: %v, want %v", !grown, !told)
			}
			if _, errno := f.readPage(0); errno != 0 {
				t.Fatal(errno)
			}
			f.getattr()
			if h.Flags()&flagGrown != 0 {
				t.Error("may not be swept after the kernel has asked once more")
			}
		})
	}
}
