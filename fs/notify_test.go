package fs

import (
	"encoding/binary"
	"testing"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

func TestNotifications(t *testing.T) {
	d, k := connectFake(t, newTestSuperblock(t, renderFunc(hello), Options{}))

	d.forget("7.3")
	entry := fuse.NotifyInvalEntryOut{Parent: uint64(rootID), NameLen: 3}
	k.expectNotification(notifyInvalEntry, entry, "7.3\x00")

	id := newNodeID(testSlot, firstNumber, 0)
	d.invalAttr(id)
	k.expectNotification(notifyInvalInode, fuse.NotifyInvalInodeOut{Ino: uint64(id), Off: -1}, "")
}

// A kernel that does not take notifications, since somebody holds the root's lock,
// keeps nobody waiting.
func TestForgettingBlocksNobody(t *testing.T) {
	b := newTestSuperblock(t, renderFunc(hello), Options{})
	d, k := dialFake(t, b)
	s := &Server{sb: b, dev: d}
	for generation := range uint32(20 * forgetQueue) { // far more than the socket holds
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
	if err := d.close(); err != nil {
		t.Error(err)
	}
	k.file.Close()
}

func (k *fakeKernel) expectNotification(code int, body any, name string) {
	k.t.Helper()
	want, err := binary.Append(nil, binary.NativeEndian, body)
	if err != nil {
		k.t.Fatal(err)
	}
	// A notification has unique 0 and its code where a reply has its error.
	r := k.receive()
	if r.unique != 0 || -int(int32(r.errno)) != code || string(r.body) != string(want)+name {
		k.t.Errorf("got %+v, want code %d and %q", r, code, string(want)+name)
	}
}
