package fs

import (
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/hanwen/go-fuse/v2/fuse"
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

func newTestSuperblock(t *testing.T, c Content, opts Options) *superblock {
	t.Helper()
	b, err := newSuperblock(testFiles, c, opts)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.slots.add(newSlot(testSlot, testOwner, len(testFiles))); err != nil {
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

func (b *superblock) openNode(id uint64, flags uint32) (fuse.OpenOut, fuse.Status) {
	var out fuse.OpenOut
	st := b.Open(nil, &fuse.OpenIn{InHeader: fuse.InHeader{NodeId: id}, Flags: flags}, &out)
	return out, st
}

func (b *superblock) readHandle(fh, offset uint64, size uint32) (string, fuse.Status) {
	result, st := b.Read(nil, &fuse.ReadIn{Fh: fh, ReadFlags: fuse.READ_LOCKOWNER, Offset: offset, Size: size}, nil)
	if !st.Ok() {
		return "", st
	}
	content, st := result.Bytes(nil)
	return string(content), st
}

func hello(dst []byte, slot Slot, file int) ([]byte, error) {
	return append(dst, slot.String()+"/"+testFiles[file].Path...), nil
}

func TestLookup(t *testing.T) {
	b := newTestSuperblock(t, renderFunc(hello), Options{})
	file := b.lookup(t, "7.3/proc/sys/kernel/domainname")
	if file.Mode != syscall.S_IFREG|0o644 || file.Uid != testOwner.UID || file.Gid != testOwner.GID || file.Size != minSize || file.Blksize < 4096 {
		t.Errorf("file has attributes %+v", file.Attr)
	}
	dir := b.lookup(t, "7.3/proc")
	if dir.Mode != syscall.S_IFDIR|0o555 || dir.Uid != testOwner.UID {
		t.Errorf("directory has attributes %+v", dir.Attr)
	}
	for _, out := range []fuse.EntryOut{file, dir} {
		var attr fuse.AttrOut
		st := b.GetAttr(nil, &fuse.GetAttrIn{InHeader: fuse.InHeader{NodeId: out.NodeId}}, &attr)
		if !st.Ok() || attr.Attr != out.Attr || attr.Timeout() != cacheTime || out.EntryTimeout() != cacheTime || out.AttrTimeout() != cacheTime {
			t.Errorf("getattr gives %v, %+v, want what lookup gave, %+v", st, attr, out)
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
	b := newTestSuperblock(t, renderFunc(hello), Options{})
	for _, id := range []nodeID{
		0,
		newNodeID(Slot{7, 4}, firstNumber, 0),
		newNodeID(Slot{8, 3}, firstNumber, 0),
		newNodeID(testSlot, 0, 0),
		newNodeID(testSlot, firstNumber+len(b.tree.nodes), 0),
		newNodeID(testSlot, lastNumber, 0),
	} {
		if st := b.GetAttr(nil, &fuse.GetAttrIn{InHeader: fuse.InHeader{NodeId: uint64(id)}}, &fuse.AttrOut{}); st != fuse.Status(syscall.ESTALE) {
			t.Errorf("%#x: got %v, want ESTALE", id, st)
		}
	}
	if _, st := b.readHandle(99, 0, 10); st != fuse.EBADF {
		t.Errorf("unknown handle: got %v, want EBADF", st)
	}
}

func TestOpenReadRelease(t *testing.T) {
	b := newTestSuperblock(t, renderFunc(hello), Options{})
	id := b.lookup(t, "7.3/proc/uptime").NodeId
	out, st := b.openNode(id, syscall.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOATIME)
	if !st.Ok() || out.OpenFlags != fuse.FOPEN_DIRECT_IO {
		t.Fatalf("got %v, %+v, want direct i/o", st, out)
	}
	const want = "7.3/proc/uptime"
	for _, r := range []struct {
		offset uint64
		size   uint32
		want   string
	}{{0, 3, want[:3]}, {3, 1 << 20, want[3:]}, {uint64(len(want)), 100, ""}, {0, 100, want}} {
		if got, st := b.readHandle(out.Fh, r.offset, r.size); !st.Ok() || got != r.want {
			t.Errorf("read %d at %d: got %q, %v, want %q", r.size, r.offset, got, st, r.want)
		}
	}
	b.Release(nil, &fuse.ReleaseIn{Fh: out.Fh})
	b.Release(nil, &fuse.ReleaseIn{Fh: out.Fh})
	if _, st := b.readHandle(out.Fh, 0, 10); st != fuse.EBADF {
		t.Errorf("after release: got %v, want EBADF", st)
	}
	if held := b.slots.find(testSlot).held.Load(); held != 0 {
		t.Errorf("%d bytes are held after release", held)
	}
	for _, flags := range []uint32{syscall.O_WRONLY, syscall.O_RDWR} {
		if _, st := b.openNode(id, flags); st != fuse.EACCES {
			t.Errorf("flags %#x: got %v, want EACCES", flags, st)
		}
	}
}

// The page cache is shared by all open files: it gets nothing.
func TestReadForThePageCache(t *testing.T) {
	b := newTestSuperblock(t, renderFunc(hello), Options{})
	out, st := b.openNode(b.lookup(t, "7.3/proc/uptime").NodeId, 0)
	if !st.Ok() {
		t.Fatal(st)
	}
	if _, st := b.Read(nil, &fuse.ReadIn{Fh: out.Fh, Size: 4096}, nil); st != fuse.EINVAL {
		t.Errorf("got %v, want EINVAL", st)
	}
}

func TestSizeFollowsTheContent(t *testing.T) {
	var content []byte
	b := newTestSuperblock(t, renderFunc(func(dst []byte, _ Slot, _ int) ([]byte, error) { return append(dst, content...), nil }), Options{})
	file := b.lookup(t, "7.3/proc/uptime")
	var changed []nodeID
	b.attrChanged = func(id nodeID) { changed = append(changed, id) }
	kept, st := b.openNode(file.NodeId, 0)
	if !st.Ok() {
		t.Fatal(st)
	}
	if _, st := b.readHandle(kept.Fh, 0, 1); !st.Ok() {
		t.Fatal(st)
	}
	for i, length := range []int{10, 4096, 4097, 8192, 20_000, 20_000, 100} {
		content = make([]byte, length)
		if i%2 == 0 { // a file that is opened, and one that is read again
			_, st = b.openNode(file.NodeId, 0)
		} else {
			_, st = b.readHandle(kept.Fh, 0, 1)
		}
		if !st.Ok() {
			t.Fatal(st)
		}
		if got := b.lookup(t, "7.3/proc/uptime"); got.Size < uint64(length) || got.Blksize < uint32(got.Size) || got.Blocks*512 < got.Size {
			t.Errorf("%d bytes: attributes %+v", length, got.Attr)
		}
	}
	if want := slices.Repeat([]nodeID{nodeID(file.NodeId)}, 3); !slices.Equal(changed, want) {
		t.Errorf("changed are %#x, want %#x", changed, want)
	}
	if got := b.lookup(t, "7.3/proc/meminfo").Size; got != minSize {
		t.Errorf("another file's size is %d", got)
	}
}

func TestOneSlotsHandlesAreBounded(t *testing.T) {
	large := make([]byte, 1<<20)
	b := newTestSuperblock(t, renderFunc(func(dst []byte, _ Slot, _ int) ([]byte, error) { return append(dst, large...), nil }), Options{})
	if err := b.slots.add(newSlot(Slot{8, 1}, testOwner, len(testFiles))); err != nil {
		t.Fatal(err)
	}
	id := b.lookup(t, "7.3/proc/meminfo").NodeId
	var last fuse.OpenOut
	for n := 0; ; n++ {
		out, st := b.openNode(id, 0)
		if st == fuse.Status(syscall.ENFILE) {
			break
		}
		if !st.Ok() || n > slotBudget/len(large) {
			t.Fatalf("open %d: %v", n, st)
		}
		last = out
	}
	if _, st := b.openNode(b.lookup(t, "8.1/proc/meminfo").NodeId, 0); !st.Ok() {
		t.Errorf("another slot: %v", st)
	}
	b.Release(nil, &fuse.ReleaseIn{Fh: last.Fh})
	if _, st := b.openNode(id, 0); !st.Ok() {
		t.Errorf("after a release: %v", st)
	}
}

func TestRemovedSlot(t *testing.T) {
	b := newTestSuperblock(t, renderFunc(hello), Options{})
	id := b.lookup(t, "7.3/proc/uptime").NodeId
	out, st := b.openNode(id, 0)
	if !st.Ok() {
		t.Fatal(st)
	}
	b.slots.remove(testSlot)
	if err := b.slots.add(newSlot(Slot{7, 4}, testOwner, len(testFiles))); err != nil {
		t.Fatal(err)
	}
	for _, offset := range []uint64{0, 3} {
		if _, st := b.readHandle(out.Fh, offset, 10); st != fuse.EIO {
			t.Errorf("read at %d: got %v, want EIO", offset, st)
		}
	}
	if _, st := b.openNode(id, 0); st != fuse.Status(syscall.ESTALE) {
		t.Errorf("open: got %v, want ESTALE", st)
	}
	b.Release(nil, &fuse.ReleaseIn{Fh: out.Fh})
}

func TestRenderErrors(t *testing.T) {
	content := renderFunc(func(_ []byte, _ Slot, file int) ([]byte, error) {
		if file == 0 {
			return nil, syscall.ENODEV
		}
		panic("no meminfo")
	})
	var reported []string
	b := newTestSuperblock(t, content, Options{Panicked: func(where string, v any, stack []byte) {
		reported = append(reported, where, v.(string))
		if !strings.Contains(string(stack), "TestRenderErrors") {
			t.Errorf("stack does not show the render: %s", stack)
		}
	}})
	if _, st := b.openNode(b.lookup(t, "7.3/proc/meminfo").NodeId, 0); st != fuse.ENODEV {
		t.Errorf("got %v, want ENODEV", st)
	}
	for range 2 * slotRenders {
		if _, st := b.openNode(b.lookup(t, "7.3/proc/uptime").NodeId, 0); st != fuse.EIO {
			t.Errorf("got %v, want EIO", st)
		}
	}
	if want := []string{"7.3/proc/uptime", "no meminfo"}; len(reported) != 4*slotRenders || !slices.Equal(reported[:2], want) {
		t.Errorf("reported %q, want %q", reported, want)
	}
}

// A Content that returns a slice of its own must not find it changed later.
func TestRenderCopiesForeignSlices(t *testing.T) {
	own := []byte("shared by all")
	b := newTestSuperblock(t, renderFunc(func([]byte, Slot, int) ([]byte, error) { return own, nil }), Options{})
	out, st := b.openNode(b.lookup(t, "7.3/proc/meminfo").NodeId, 0)
	if !st.Ok() {
		t.Fatal(st)
	}
	own[0] = 'S'
	if got, _ := b.readHandle(out.Fh, 0, 100); got != "shared by all" {
		t.Errorf("got %q", got)
	}
}

func TestSmallAnswers(t *testing.T) {
	b := newTestSuperblock(t, renderFunc(hello), Options{})
	if st := b.Flush(nil, &fuse.FlushIn{}); st != fuse.ENOSYS {
		t.Errorf("flush: got %v, want ENOSYS", st)
	}
	if st := b.Ioctl(nil, &fuse.IoctlIn{}, nil, &fuse.IoctlOut{}, nil); st != fuse.Status(syscall.ENOTTY) {
		t.Errorf("ioctl: got %v, want ENOTTY", st)
	}
	if st := b.StatFs(nil, &fuse.InHeader{}, &fuse.StatfsOut{}); !st.Ok() {
		t.Errorf("statfs: %v", st)
	}
}
