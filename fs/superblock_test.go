package fs

import (
	"strings"
	"syscall"
	"testing"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// testFiles are what the tests serve.
var testFiles = []File{
	{Path: "proc/meminfo", Mode: 0o444},
	{Path: "proc/uptime", Mode: 0o444},
	{Path: "sys/devices/system/cpu/online", Mode: 0o444},
	{Path: "proc/sys/kernel/domainname", Mode: 0o644},
}

var (
	testSlot  = Slot{Index: 7, Generation: 3}
	testOwner = Owner{UID: 165536, GID: 165537}
)

func newTestSuperblock(t testing.TB, c Content, opts Options) *superblock {
	t.Helper()
	b, err := newSuperblock(testFiles, c, opts)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.slots.add(b.newSlot(testSlot, testOwner)); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *superblock) lookup(t *testing.T, path string) fuse.EntryOut {
	t.Helper()
	out := fuse.EntryOut{NodeId: uint64(rootID)}
	for name := range strings.SplitSeq(path, "/") {
		parent := out.NodeId
		if st := b.Lookup(nil, &fuse.InHeader{NodeId: parent}, name, &out); !st.Ok() {
			t.Fatalf("look up %s in %s: %v", name, path, st)
		}
	}
	return out
}

func hello(dst []byte, slot Slot, file int) ([]byte, error) {
	return append(dst, slot.String()+"/"+testFiles[file].Path...), nil
}

func TestLookup(t *testing.T) {
	k := serveFake(t, renderFunc(hello), Options{})
	b := k.b
	file := b.lookup(t, "7.3/proc/sys/kernel/domainname")
	if file.Mode != syscall.S_IFREG|0o644 || file.Uid != testOwner.UID || file.Gid != testOwner.GID || file.Size != minSize || file.Blksize < 4096 {
		t.Errorf("file has attributes %+v", file.Attr)
	}
	dir := b.lookup(t, "7.3/proc")
	if dir.Mode != syscall.S_IFDIR|0o555 || dir.Uid != testOwner.UID {
		t.Errorf("directory has attributes %+v", dir.Attr)
	}
	for _, out := range []fuse.EntryOut{file, dir} {
		if attr := k.getattr(out.NodeId); attr != out.Attr || out.EntryTimeout() != cacheTime || out.AttrTimeout() != cacheTime {
			t.Errorf("getattr gives %+v, want what lookup gave, %+v", attr, out)
		}
	}
	for _, name := range []string{"7.4", "8.3", "07.3", "proc", "", "..", ".go-fuse-epoll-hack"} {
		if st := b.Lookup(nil, &fuse.InHeader{NodeId: uint64(rootID)}, name, &fuse.EntryOut{}); st != fuse.ENOENT {
			t.Errorf("look up %q in the root: got %v, want ENOENT", name, st)
		}
	}
	if st := b.Lookup(nil, &fuse.InHeader{NodeId: dir.NodeId}, "cpuinfo", &fuse.EntryOut{}); st != fuse.ENOENT {
		t.Errorf("got %v, want ENOENT", st)
	}
}

func TestUnknownNodes(t *testing.T) {
	k := serveFake(t, renderFunc(hello), Options{})
	for _, id := range []nodeID{
		0,
		newNodeID(Slot{7, 4}, firstNumber, 0),
		newNodeID(Slot{8, 3}, firstNumber, 0),
		newNodeID(testSlot, 0, 0),
		newNodeID(testSlot, firstNumber+len(k.b.tree.nodes), 0),
		newNodeID(testSlot, lastNumber, 0),
	} {
		if r := k.call(opGetAttr, uint64(id), fields(uint64(0), uint64(0))); r.errno != unix.ESTALE {
			t.Errorf("%#x: got %v, want ESTALE", id, r.errno)
		}
	}
}
