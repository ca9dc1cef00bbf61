package fs

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// The kernel may believe none of the replies that say how much longer content is. So it is
// told before. If it can't be, and others were told the old size, it is to get a reply that
// no sweep crosses.
func TestGrows(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("has the numbers of amd64")
	}
	for name, test := range map[string]struct{ told, stuck, held bool }{
		"nobody was told":                        {},
		"somebody was told":                      {told: true},
		"nobody was told, and it can't be now":   {stuck: true},
		"somebody was told, and it can't be now": {told: true, stuck: true},
		"somebody keeps the page locked":         {held: true},
	} {
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
			k.expectNotice(notifyStore, fuse.NotifyStoreOut{Nodeid: f.node, Size: 2}, "x\n")
			k.expectNotice(notifyInvalInode, fuse.NotifyInvalInodeOut{Ino: f.node}, "")
			h, _ := k.d.memory.Find(f.fh)
			at, _ := b.fileOf(nodeID(f.node))
			l := at.lease()
			l.mu.Lock()
			l.pages, l.told = dropped, test.told
			l.mu.Unlock()
			if test.stuck {
				at.slot.stores.Store(slotStores)
			}
			if test.held { // as the kernel holds up who writes
				k.d.quiet.Lock()
			}

			if size, want := f.getattr().Size, uint64(2*lines.Load()); size != want {
				t.Errorf("is told a size of %d, want %d", size, want)
			}
			if test.held { // the reply has not waited for it
				k.expectNoNotice()
				k.d.quiet.Unlock()
			}
			grown, want := h.Flags()&flagGrown != 0, test.told && test.stuck
			if grown != want {
				t.Errorf("may be swept: %v, want %v", !grown, !want)
			}
			switch {
			case !test.stuck:
				k.expectNotice(notifyStore, fuse.NotifyStoreOut{Nodeid: f.node, Offset: uint64(2*lines.Load() - 1), Size: 1}, "\n")
			case want:
				k.expectNotice(notifyInvalInode, fuse.NotifyInvalInodeOut{Ino: f.node, Off: -1}, "")
			}
			k.expectNoNotice()
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
