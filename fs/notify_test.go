package fs

import (
	"testing"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

func TestNotifications(t *testing.T) {
	k := serveFake(t, renderFunc(hello), Options{})

	k.d.tell(notice{name: "7.3"})
	entry := fuse.NotifyInvalEntryOut{Parent: uint64(rootID), NameLen: 3}
	k.expectNotice(notifyInvalEntry, entry, "7.3\x00")

	id := newNodeID(testSlot, firstNumber, 0)
	k.d.invalAttr(id)
	k.expectNotice(notifyInvalInode, fuse.NotifyInvalInodeOut{Ino: uint64(id), Off: -1}, "")
	if err := k.d.notify(growMessage(id, 8192, 0)); err != nil {
		t.Error(err)
	}
	k.expectNotice(notifyStore, fuse.NotifyStoreOut{Nodeid: uint64(id), Offset: 8191, Size: 1}, "\x00")
	if err := k.d.invalPages(id); err != nil {
		t.Error(err)
	}
	k.expectNotice(notifyInvalInode, fuse.NotifyInvalInodeOut{Ino: uint64(id)}, "")
	k.d.wakePoller(4711)
	k.expectNotice(notifyPoll, uint64(4711), "")
}

// A kernel that does not take notifications, since somebody holds the root's lock,
// keeps nobody waiting.
func TestForgettingBlocksNobody(t *testing.T) {
	b := newTestSuperblock(t, renderFunc(hello), Options{})
	k, file := dialFake(t, b, newMemoryFile(t))
	k.greet()
	k.d.start(1) // nobody reads what it writes
	defer file.Close()
	s := &Server{sb: b, dev: k.d}
	for generation := range uint32(20 * noticeQueue) { // far more than the socket holds
		slot := Slot{Index: 8, Generation: generation}
		if err := s.Add(slot, testOwner); err != nil {
			t.Fatal(err)
		}
		s.Remove(slot)
	}
	// The end of the connection, with the notification still on its way.
	if err := unix.Shutdown(int(k.file.Fd()), unix.SHUT_WR); err != nil {
		t.Fatal(err)
	}
	if err := k.d.close(func() error { return nil }); err != nil {
		t.Error(err)
	}
	k.file.Close()
}

// No notification begins after hush, which waits for those that are under way.
func TestHush(t *testing.T) {
	k := serveFake(t, renderFunc(hello), Options{})
	k.d.quiet.RLock() // a notification
	hushed := make(chan struct{})
	go func() {
		k.d.hush()
		close(hushed)
	}()
	k.d.quiet.RUnlock()
	<-hushed
	if k.d.quiet.TryRLock() {
		t.Error("a notification begins")
	}
	k.d.quiet.Unlock()

	k.d.quiet.RLock() // one that does not end
	k.d.hush()
	k.d.quiet.RUnlock()
}
