package fs

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// settlePush takes the notifications that tell of what changed before the start.
func (k *fakeKernel) settlePush() {
	k.collectNotices(k.lookup("7.3/proc/sys/kernel/domainname").NodeId)
	<-k.notices // its content
}

func TestPushedFiles(t *testing.T) {
	content := bytes.Repeat([]byte("x"), 5000)
	k := serveFake(t, renderFunc(func(dst []byte, _ Slot, _ int) ([]byte, error) { return append(dst, content...), nil }), Options{Protocol: Pushed, MaxStale: time.Hour})
	k.settlePush()
	file := k.lookup("7.3/proc/uptime")
	if file.Size != 8192 || k.getattr(file.NodeId).Size != 8192 {
		t.Errorf("the size is %d, want that of the content, or more", file.Size)
	}
	if file.EntryTimeout() != cacheTime || file.AttrTimeout() != cacheTime {
		t.Errorf("names are kept for %v, attributes for %v", file.EntryTimeout(), file.AttrTimeout())
	}
	for _, op := range []uint32{opOpen, opOpenDir} {
		if r := k.call(op, file.NodeId, openIn(0)); r.errno != unix.ENOSYS {
			t.Errorf("opcode %d: got %v, want ENOSYS", op, r.errno)
		}
	}
	f := openFile{k: k, node: file.NodeId}
	for offset, want := range map[uint64]int{0: 4096, 4096: 904, 5000: 0, 1 << 40: 0} {
		if got, errno := f.read(offset, 4096); errno != 0 || len(got) != want {
			t.Errorf("at %d: %d bytes, %v, want %d", offset, len(got), errno, want)
		}
	}
	inOrder.pass()
	content = content[:10]
	inOrder.pass()
	if got := k.getattr(file.NodeId).Size; got != 8192 {
		t.Errorf("the size falls to %d", got)
	}
	if _, errno := (openFile{k: k, node: k.lookup("7.3/proc").NodeId}).read(0, 10); errno != unix.EIO {
		t.Errorf("read of a directory: %v", errno)
	}
	k.expectNoNotice()
}

func TestPushedFilesExpire(t *testing.T) {
	k := serveFake(t, renderFunc(hello), Options{Protocol: Pushed, MaxStale: time.Millisecond})
	k.settlePush()
	f := openFile{k: k, node: k.lookup("7.3/proc/uptime").NodeId}
	for range 2 {
		f.mustRead()
		k.expectNotice(notifyInvalInode, fuse.NotifyInvalInodeOut{Ino: f.node}, "")
	}
}

func TestExpiry(t *testing.T) {
	e := newExpiry()
	for i, node := range []nodeID{10, 11, 10, 12} {
		e.add(node, time.Duration(i+1)*time.Second)
	}
	expired, wait := e.take(1500 * time.Millisecond)
	if want := []expiring{{10, time.Second}}; !slices.Equal(expired, want) || wait != 500*time.Millisecond {
		t.Errorf("got %v, then after %v, want %v", expired, wait, want)
	}
	e.add(10, 5*time.Second)
	expired, wait = e.take(time.Minute)
	if want := []expiring{{11, 2 * time.Second}, {12, 4 * time.Second}, {10, 5 * time.Second}}; !slices.Equal(expired, want) || wait < time.Minute {
		t.Errorf("got %v, then after %v, want %v", expired, wait, want)
	}
}

// collectNotices returns those that come until one is about id.
func (k *fakeKernel) collectNotices(id uint64) (all []answer) {
	for {
		r := <-k.notices
		all = append(all, r)
		if bytes.HasPrefix(r.body, fields(id)) {
			return all
		}
	}
}

func TestChangedPushes(t *testing.T) {
	k := serveFake(t, renderFunc(hello), Options{Protocol: Pushed})
	k.settlePush()
	s := &Server{sb: k.b, dev: k.d}
	s.Changed(Slot{8, 1}) // is none
	s.Changed(testSlot)
	last := k.lookup("7.3/proc/sys/kernel/domainname").NodeId
	all := append(k.collectNotices(last), <-k.notices)
	for _, name := range []string{"proc/meminfo", "proc/uptime", "proc/sys/kernel/domainname"} {
		id, content := k.lookup("7.3/"+name).NodeId, "7.3/"+name
		inval := fields(fuse.NotifyInvalInodeOut{Ino: id})
		store := append(fields(id, uint64(0), uint32(len(content)), uint32(0)), content...)
		i := slices.IndexFunc(all, func(r answer) bool { return r.code() == notifyStore && bytes.Equal(r.body, store) })
		if i < 0 || i+1 == len(all) || all[i+1].code() != notifyInvalInode || !bytes.Equal(all[i+1].body, inval) {
			t.Errorf("%s is not pushed: %+v", name, all)
		}
	}

	s.Remove(testSlot)
	for _, r := range k.collectNotices(last) {
		if r.code() == notifyStore {
			t.Errorf("of a removed slot %q is pushed", r.body)
		}
	}
}

func TestChangedForgetsMembers(t *testing.T) {
	m := &machine{members: []int{0, 1, 10}}
	b, err := newSuperblock(seriesFiles, m, Options{Protocol: Pushed})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.slots.add(b.newSlot(testSlot, testOwner)); err != nil {
		t.Fatal(err)
	}
	k := connectFake(t, b)
	k.lookup("7.3/cpu/cpu10")
	k.collectNotices(k.lookup("7.3/debug").NodeId)
	dir := k.lookup("7.3/cpu").NodeId
	inOrder.pass()
	m.members = []int{0}
	inOrder.pass()
	(&Server{sb: b, dev: k.d}).Changed(testSlot)
	forgotten := map[string]bool{}
	for _, r := range k.collectNotices(k.lookup("7.3/debug").NodeId) {
		if r.code() == notifyInvalEntry && bytes.HasPrefix(r.body, fields(dir)) {
			forgotten[string(bytes.TrimRight(r.body[16:], "\x00"))] = true
		}
	}
	if !forgotten["cpu1"] || !forgotten["cpu10"] || forgotten["cpu0"] {
		t.Errorf("forgotten are %v", forgotten)
	}
}

func TestSuccessorPushes(t *testing.T) {
	mem := newMemoryFile(t)
	serve := func() *superblock {
		return newTestSuperblock(t, renderFunc(hello), Options{Protocol: Pushed, MaxStale: time.Hour})
	}
	k, kill := firstServer(t, mem, serve())
	id := k.lookup("7.3/proc/uptime").NodeId
	kill()
	successor(t, mem, serve()).collectNotices(id)
}
