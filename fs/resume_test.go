package fs

import (
	"encoding/binary"
	"os"
	"testing"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"cloister/fs/fstest"
)

// successor serves the same memory to a kernel with another connection. The predecessor
// is dead: its device is left alone.
func successor(t *testing.T, mem *os.File, b *superblock) *fakeKernel {
	t.Helper()
	k, file := dialFake(t, b, mem)
	if err := k.d.remember(); err != nil {
		t.Fatal(err)
	}
	k.unique = 1 << 20
	k.serve(file)
	return k
}

// firstServer serves until it is "killed".
func firstServer(t *testing.T, mem *os.File, b *superblock) (k *fakeKernel, kill func()) {
	t.Helper()
	k, file := dialFake(t, b, mem)
	k.greet()
	collected := k.start()
	return k, func() {
		k.hangUp(file)
		<-collected
		k.file.Close()
	}
}

func (k *fakeKernel) at(f openFile) openFile { return openFile{k, f.node, f.fh, f.flags} }

func TestSuccessor(t *testing.T) {
	mem := newMemoryFile(t)
	a := &alarms{renderFunc: (&versions{}).render}
	serve := func() *superblock { return newTestSuperblock(t, a, Options{Writer: a}) }
	k, kill := firstServer(t, mem, serve())
	id := k.lookup("7.3/proc/uptime").NodeId
	first, second := k.mustOpen("proc/uptime"), k.mustOpen("proc/uptime")
	want := first.mustRead()
	watched, errno := k.open(id, unix.O_RDWR)
	if errno != 0 {
		t.Fatal(errno)
	}
	if errno := k.write(watched, "ring"); errno != 0 {
		t.Fatal(errno)
	}
	k.poll(watched, 78)
	held := k.held()
	kill()
	if a.count() != 0 {
		t.Fatal("a dead server has a watch")
	}

	next := successor(t, mem, serve())
	if got, errno := next.at(first).read(1, 100); errno != 0 || got != want[1:] {
		t.Errorf("got %q, %v, want the rest of %q", got, errno, want)
	}
	if got := next.at(second).mustRead(); got == want {
		t.Errorf("two open files have the same snapshot %q", got)
	}
	if got := next.held(); got != held {
		t.Errorf("%d bytes are held, want %d", got, held)
	}
	if a.count() != 1 {
		t.Errorf("%d watches, want the one that was there", a.count())
	}
	a.ring()
	if got := next.poll(next.at(watched), 78); got != defaultEvents|unix.POLLPRI {
		t.Errorf("after the alarm: events %#x", got)
	}
	for _, f := range []openFile{first, second, watched} {
		next.at(f).release()
		next.at(f).release()
	}
	if handles, _ := next.d.memory.Used(); handles != 0 || next.held() != 0 || a.count() != 0 {
		t.Errorf("%d files are open, %d bytes held, %d watches", handles, next.held(), a.count())
	}
}

// Of what a holder has left that has closed the file the kernel may not have been told.
func TestSuccessorDropsWhatIsLeft(t *testing.T) {
	mem := newMemoryFile(t)
	k, kill := firstServer(t, mem, newTestSuperblock(t, &editions{}, Options{}))
	holder, other := k.mustOpen("proc/meminfo"), k.mustOpen("proc/meminfo")
	if _, errno := holder.readPage(0); errno != 0 {
		t.Fatal(errno)
	}
	holder.release()
	kill()

	next := successor(t, mem, newTestSuperblock(t, &editions{}, Options{}))
	next.expectNotice(notifyInvalInode, fuse.NotifyInvalInodeOut{Ino: other.node}, "")
	next.expectNotice(notifyInvalInode, fuse.NotifyInvalInodeOut{Ino: other.node, Off: -1}, "")
	next.expectNotice(notifyStore, fuse.NotifyStoreOut{Nodeid: other.node, Offset: minSize - 1, Size: 1}, "\x00")
}

func TestSuccessorKnowsTheLease(t *testing.T) {
	mem := newMemoryFile(t)
	content := &editions{}
	k, kill := firstServer(t, mem, newTestSuperblock(t, content, Options{}))
	holder, other := k.mustOpen("proc/meminfo"), k.mustOpen("proc/meminfo")
	page, errno := holder.readPage(0)
	if errno != 0 || holder.flags != 0 || other.flags != openDirect {
		t.Fatalf("%v, flags %#x and %#x", errno, holder.flags, other.flags)
	}
	kill()

	next := successor(t, mem, newTestSuperblock(t, content, Options{}))
	if got := next.at(holder).getattr().Size; got != uint64(len(page)) {
		t.Errorf("the size is %d, want %d", got, len(page))
	}
	if got, errno := next.at(holder).readPage(0); errno != 0 || got != page {
		t.Errorf("got another snapshot, %v", errno)
	}
	if f := next.mustOpen("proc/meminfo"); f.flags != openDirect {
		t.Errorf("a third one is opened with flags %#x", f.flags)
	}
	next.expectNotice(notifyInvalInode, fuse.NotifyInvalInodeOut{Ino: holder.node}, "") // the sweep
}

// What a predecessor has begun to tell the kernel may reach it later: first nothing is
// put into the page cache.
func TestSuccessorSettles(t *testing.T) {
	mem := newMemoryFile(t)
	_, kill := firstServer(t, mem, newTestSuperblock(t, &editions{}, Options{}))
	kill()
	next := successor(t, mem, newTestSuperblock(t, &editions{}, Options{}))
	f := next.mustOpen("proc/meminfo")
	if f.flags&fuse.FOPEN_DIRECT_IO == 0 && next.d.sb.now() < next.d.settles {
		t.Errorf("opened with flags %#x", f.flags)
	}
	for f.flags&fuse.FOPEN_DIRECT_IO != 0 { // later it is
		f.release()
		f = next.mustOpen("proc/meminfo")
	}
	if next.d.sb.now() < next.d.settles {
		t.Error("leased too early")
	}
}

// Requests that were taken and not answered, or just answered.
func TestSuccessorAnswersWhatIsLeft(t *testing.T) {
	mem := newMemoryFile(t)
	content := &editions{}
	k, kill := firstServer(t, mem, newTestSuperblock(t, content, Options{Protocol: Direct}))
	f := k.mustOpen("proc/meminfo") // by request k.unique
	openUnique := k.unique
	half, errno := f.read(0, 500)
	readUnique := k.unique
	if errno != 0 {
		t.Fatal(errno)
	}
	for i, req := range []struct {
		op, unique uint64
		body       []byte
	}{
		{opOpen, openUnique, openIn(0)},
		{opRead, readUnique, readIn(f.fh, 0, 500, readLockOwner)},
		{opOpen, 9000, openIn(0)},
		{opRead, 9002, readIn(f.fh, 500, 8000, readLockOwner)},
	} {
		copy(k.d.memory.Request(10+i), requestBytes(uint32(req.op), req.unique, f.node, 0, req.body))
	}
	parked, ok := k.d.memory.Park(requestBytes(opOpen, 9000, f.node, 0, openIn(0)))
	if !ok || parked == 0 {
		t.Fatal("no place")
	}
	kill()

	next := successor(t, mem, newTestSuperblock(t, content, Options{Protocol: Direct}))
	answers := map[uint64]answer{}
	for range 4 {
		r := next.receive()
		if r.errno != 0 {
			t.Errorf("request %d: %v", r.unique, r.errno)
		}
		answers[r.unique] = r
	}
	if fh := binary.NativeEndian.Uint64(answers[openUnique].body); fh != f.fh {
		t.Errorf("an OPEN that is handled twice gets file %#x, then %#x", f.fh, fh)
	}
	if got := string(answers[readUnique].body); got != half {
		t.Error("a READ that is handled twice gets other content")
	}
	if _, err := fstest.Parse([]byte(half + string(answers[9002].body))); err != nil {
		t.Error(err)
	}
	if handles, _ := next.d.memory.Used(); handles != 2 {
		t.Errorf("%d files are open, want 2", handles)
	}
	next.getattr(uint64(rootID)) // gets its own reply: there is no other
}

// What a slot's renders hold up keeps the successor from nothing else.
func TestSuccessorWaitsForNoRender(t *testing.T) {
	mem := newMemoryFile(t)
	k, kill := firstServer(t, mem, newTestSuperblock(t, renderFunc(hello), Options{}))
	node := k.lookup("7.3/proc/uptime").NodeId
	kill()
	release := make(chan struct{})
	b := newTestSuperblock(t, renderFunc(func(dst []byte, slot Slot, file int) ([]byte, error) {
		<-release
		return hello(dst, slot, file)
	}), Options{})
	left, file := dialFake(t, b, mem)
	const n = 3 * slotRenders
	for i := range uint64(n) {
		if _, ok := left.d.memory.Park(requestBytes(opOpen, 9000+i, node, 0, openIn(0))); !ok {
			t.Fatal("no place")
		}
	}
	left.d.memory.Close()
	left.file.Close()
	file.Close()

	next := successor(t, mem, b)
	next.getattr(uint64(rootID))
	close(release)
	for range n {
		if r := next.receive(); r.errno != 0 || r.unique < 9000 {
			t.Errorf("got %v for %d", r.errno, r.unique)
		}
	}
}
