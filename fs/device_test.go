package fs

import (
	"bytes"
	"testing"

	"golang.org/x/sys/unix"
)

func TestDeviceReplies(t *testing.T) {
	k := serveFake(t, renderFunc(hello), Options{})
	for _, tt := range []struct {
		name   string
		opcode uint32
		body   []byte
		want   unix.Errno
	}{
		{"getattr", opGetAttr, make([]byte, 16), 0},
		{"lookup", opLookup, []byte("7.3\x00"), 0},
		{"lookup of nothing", opLookup, []byte("7.4\x00"), unix.ENOENT},
		{"flush", opFlush, make([]byte, 24), unix.ENOSYS},
		{"poll", opPoll, make([]byte, 24), unix.ENOSYS},
		{"interrupt", opInterrupt, make([]byte, 8), unix.ENOSYS},
		{"ioctl", opIoctl, make([]byte, 32), unix.ENOTTY},
		{"statfs", 17, nil, 0},
		{"unknown opcode", 4000, nil, unix.ENOSYS},
		{"open of a directory", opOpen, make([]byte, 8), unix.EISDIR},
		{"read longer than the reply", opRead, bytes.Repeat([]byte{0xff}, 40), unix.EIO},
		{"half a read", opRead, make([]byte, 20), unix.EIO},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if r := k.call(tt.opcode, uint64(rootID), tt.body); r.errno != tt.want {
				t.Errorf("got errno %d, want %d", r.errno, tt.want)
			}
		})
	}
}

func TestDeviceDoesNotReplyToForget(t *testing.T) {
	k := serveFake(t, renderFunc(hello), Options{})
	k.send(opForget, 2, uint64(rootID), make([]byte, 8))
	k.send(opBatchForget, 3, uint64(rootID), make([]byte, 8))
	k.getattr(uint64(rootID)) // takes no other reply
}

// More slow renders than one slot may run.
func TestDeviceAnswersWhileRendersAreSlow(t *testing.T) {
	release := make(chan struct{})
	b := newTestSuperblock(t, renderFunc(func(dst []byte, slot Slot, file int) ([]byte, error) {
		if slot == testSlot {
			<-release
		}
		return hello(dst, slot, file)
	}), Options{})
	other := Slot{Index: 8, Generation: 1}
	if err := b.slots.add(b.newSlot(other, testOwner)); err != nil {
		t.Fatal(err)
	}
	slow, fast := b.lookup(t, "7.3/proc/uptime").NodeId, b.lookup(t, "8.1/proc/uptime").NodeId

	k := connectFake(t, b)
	const n = 4 * slotRenders
	for i := range uint64(n) {
		k.send(opOpen, 100+i, slow, openIn(0))
	}
	for i := range uint64(3) {
		k.send(opOpen, 10+i, fast, openIn(0))
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

// A panic that is not in the hands of a render's guard.
func TestDeviceReportsPanics(t *testing.T) {
	where := make(chan string, 2)
	b := newTestSuperblock(t, quickFunc{func([]byte, Slot, int) ([]byte, error) { panic("fault") }}, Options{
		Panicked: func(w string, _ any, _ []byte) { where <- w },
	})
	id := b.lookup(t, "7.3/proc/uptime").NodeId
	k := connectFake(t, b)
	for range 2 {
		if _, errno := k.open(id, 0); errno != unix.EIO {
			t.Errorf("got %v, want EIO", errno)
		}
		if got := <-where; got != "7.3/proc/uptime" {
			t.Errorf("reported %q", got)
		}
	}
}

func TestDeviceWantsInitFirst(t *testing.T) {
	k, file := dialFake(t, newTestSuperblock(t, renderFunc(hello), Options{}), newMemoryFile(t))
	defer file.Close()
	defer k.d.memory.Close()
	k.send(opGetAttr, 1, uint64(rootID), make([]byte, 16))
	if err := k.d.greet(); err == nil {
		t.Error("no error for a first request that isn't INIT")
	}
	k.file.Close()
	if err := k.d.greet(); err == nil {
		t.Error("no error for a connection that is gone")
	}
}
