package fs

import (
	"encoding/binary"
	"testing"

	"github.com/hanwen/go-fuse/v2/fuse"
)

func TestNotifications(t *testing.T) {
	d, k := connectFake(t, newTestSuperblock(t, renderFunc(hello), Options{}))

	d.invalEntry(rootID, "7.3")
	entry := fuse.NotifyInvalEntryOut{Parent: uint64(rootID), NameLen: 3}
	k.expectNotification(notifyInvalEntry, entry, "7.3\x00")

	id := newNodeID(testSlot, firstNumber)
	d.invalAttr(id)
	k.expectNotification(notifyInvalInode, fuse.NotifyInvalInodeOut{Ino: uint64(id), Off: -1}, "")
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
