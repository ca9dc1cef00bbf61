package fs

import (
	"bytes"
	"encoding/binary"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// fakeKernel is the other end of a device: a socket that keeps message borders,
// as /dev/fuse does.
type fakeKernel struct {
	t    *testing.T
	file *os.File
}

// connectFake connects a device until the test ends.
func connectFake(t *testing.T, b *superblock) (*device, *fakeKernel) {
	t.Helper()
	d, k := dialFake(t, b)
	t.Cleanup(func() {
		k.file.Close()
		if err := d.close(); err != nil {
			t.Error(err)
		}
	})
	return d, k
}

func dialFake(t *testing.T, b *superblock) (*device, *fakeKernel) {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	k := &fakeKernel{t: t, file: os.NewFile(uintptr(pair[1]), "kernel")}
	d := newDevice(os.NewFile(uintptr(pair[0]), "device"), b, b.panicked)
	if b.writer != nil {
		d.join(b)
	}
	k.send(opInit, 1, 0, initIn(7, 45))
	if err := d.start(); err != nil {
		t.Fatal(err)
	}
	if r := k.receive(); r.unique != 1 || r.errno != 0 || len(r.body) < 24 {
		t.Fatalf("reply to INIT is %+v", r)
	}
	return d, k
}

// initIn is a struct fuse_init_in.
func initIn(major, minor uint32) []byte {
	b := binary.NativeEndian.AppendUint32(nil, major)
	b = binary.NativeEndian.AppendUint32(b, minor)
	return append(b, make([]byte, 56)...)
}

func (k *fakeKernel) send(opcode uint32, unique, node uint64, body []byte) {
	k.t.Helper()
	b := binary.NativeEndian.AppendUint32(nil, uint32(inHeaderLen+len(body)))
	b = binary.NativeEndian.AppendUint32(b, opcode)
	b = binary.NativeEndian.AppendUint64(b, unique)
	b = binary.NativeEndian.AppendUint64(b, node)
	b = append(b, make([]byte, inHeaderLen-len(b))...)
	if _, err := k.file.Write(append(b, body...)); err != nil {
		k.t.Fatal(err)
	}
}

type reply struct {
	errno  unix.Errno
	unique uint64
	body   []byte
}

func (k *fakeKernel) receive() reply {
	k.t.Helper()
	b := make([]byte, 1<<20)
	n, err := k.file.Read(b)
	if err != nil {
		k.t.Fatal(err)
	}
	if length := binary.NativeEndian.Uint32(b); int(length) != n {
		k.t.Fatalf("reply of %d bytes says that it has %d", n, length)
	}
	return reply{
		errno:  unix.Errno(-int32(binary.NativeEndian.Uint32(b[4:]))),
		unique: binary.NativeEndian.Uint64(b[8:]),
		body:   b[outHeaderLen:n],
	}
}

const (
	opLookup  = 1
	opGetattr = 3
	opOpen    = 14
	opRead    = 15
	opFlush   = 25
)

func TestDeviceReplies(t *testing.T) {
	_, k := connectFake(t, newTestSuperblock(t, renderFunc(hello), Options{}))
	for i, tt := range []struct {
		name   string
		opcode uint32
		body   []byte
		want   unix.Errno
	}{
		{"getattr", opGetattr, make([]byte, 16), 0},
		{"lookup", opLookup, []byte("7.3\x00"), 0},
		{"lookup of nothing", opLookup, []byte("7.4\x00"), unix.ENOENT},
		{"flush", opFlush, make([]byte, 24), unix.ENOSYS},
		{"poll", opPoll, make([]byte, 24), unix.ENOSYS},
		{"interrupt", opInterrupt, make([]byte, 8), unix.ENOSYS},
		{"unknown opcode", 4000, nil, unix.ENOSYS},
		{"read longer than the reply", opRead, bytes.Repeat([]byte{0xff}, 40), unix.EIO},
	} {
		t.Run(tt.name, func(t *testing.T) {
			unique := uint64(100 + i)
			k.send(tt.opcode, unique, uint64(rootID), tt.body)
			if r := k.receive(); r.unique != unique || r.errno != tt.want {
				t.Errorf("got errno %d for request %d, want %d for %d", r.errno, r.unique, tt.want, unique)
			}
		})
	}
}

func TestDeviceDoesNotReplyToForget(t *testing.T) {
	_, k := connectFake(t, newTestSuperblock(t, renderFunc(hello), Options{}))
	k.send(opForget, 2, uint64(rootID), make([]byte, 8))
	k.send(opBatchForget, 3, uint64(rootID), make([]byte, 8))
	k.send(opGetattr, 4, uint64(rootID), make([]byte, 16))
	if r := k.receive(); r.unique != 4 {
		t.Errorf("got a reply to request %d", r.unique)
	}
}

// More slow renders than there are idle readers, and than one slot may run.
func TestDeviceAnswersWhileRendersAreSlow(t *testing.T) {
	release := make(chan struct{})
	b := newTestSuperblock(t, renderFunc(func(dst []byte, slot Slot, file int) ([]byte, error) {
		if slot == testSlot {
			<-release
		}
		return hello(dst, slot, file)
	}), Options{})
	other := Slot{Index: 8, Generation: 1}
	if err := b.slots.add(newSlot(other, testOwner, len(testFiles))); err != nil {
		t.Fatal(err)
	}
	slow, fast := b.lookup(t, "7.3/proc/uptime").NodeId, b.lookup(t, "8.1/proc/uptime").NodeId

	_, k := connectFake(t, b)
	const n = 4 * slotRenders
	for i := range uint64(n) {
		k.send(opOpen, 100+i, slow, make([]byte, 8))
	}
	for i := range uint64(3) {
		k.send(opOpen, 10+i, fast, make([]byte, 8))
		if r := k.receive(); r.unique != 10+i || r.errno != 0 {
			t.Fatalf("got %v for request %d, want the fast slot's", r.errno, r.unique)
		}
	}
	close(release)
	for range n {
		if r := k.receive(); r.unique < 100 || r.errno != 0 {
			t.Errorf("got %v for request %d", r.errno, r.unique)
		}
	}
}

func TestDeviceReportsPanics(t *testing.T) {
	reported := make(chan any, 1)
	b := newTestSuperblock(t, renderFunc(hello), Options{Panicked: func(_ string, v any, _ []byte) { reported <- v }})
	id := b.lookup(t, "7.3/proc/uptime").NodeId
	b.tree = nil // a fault of the server's own, not of a render
	_, k := connectFake(t, b)
	k.send(opOpen, 5, id, make([]byte, 8))
	if r := k.receive(); r.unique != 5 || r.errno != unix.EIO {
		t.Errorf("got %v for request %d, want EIO for 5", r.errno, r.unique)
	}
	<-reported
}

func TestDeviceWantsInitFirst(t *testing.T) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	k := &fakeKernel{t: t, file: os.NewFile(uintptr(pair[1]), "kernel")}
	b := newTestSuperblock(t, renderFunc(hello), Options{})
	d := newDevice(os.NewFile(uintptr(pair[0]), "device"), b, b.panicked)
	defer d.file.Close()
	k.send(opGetattr, 1, uint64(rootID), make([]byte, 16))
	if err := d.start(); err == nil {
		t.Error("no error for a first request that isn't INIT")
	}
	k.file.Close()
	if err := d.start(); err == nil {
		t.Error("no error for a connection that is gone")
	}
}
