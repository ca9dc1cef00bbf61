package fs

import (
	"encoding/binary"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// alarms is a Content and a Writer: what is written to a file is the error that it answers with, or
// sets an alarm.
type alarms struct {
	renderFunc

	mu   sync.Mutex
	last *alarm // guarded by mu
	open int    // guarded by mu
}

type alarm struct {
	all    *alarms
	fired  func()
	mu     sync.Mutex
	events uint32 // guarded by mu
}

func (a *alarms) Write(_ Slot, _ Ref, data []byte, fired func()) (Watch, error) {
	switch strings.TrimSpace(string(data)) {
	case "bad":
		return nil, syscall.EINVAL
	case "panic":
		panic("alarm")
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.last = &alarm{all: a, fired: fired}
	a.open++
	return a.last, nil
}

func (a *alarms) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.open
}

// ring lets the alarm that was set last go off.
func (a *alarms) ring() {
	a.mu.Lock()
	l := a.last
	a.mu.Unlock()
	l.mu.Lock()
	l.events |= unix.POLLPRI
	l.mu.Unlock()
	l.fired()
}

func (a *alarm) Poll() uint32 {
	a.mu.Lock()
	defer a.mu.Unlock()
	events := a.events
	a.events = 0
	return events
}

func (a *alarm) Close() {
	a.all.mu.Lock()
	defer a.all.mu.Unlock()
	a.all.open--
}

func newAlarms(t *testing.T) (*superblock, *alarms) {
	t.Helper()
	a := &alarms{renderFunc: hello}
	return newTestSuperblock(t, a, Options{Writer: a}), a
}

func (b *superblock) write(fh uint64, text string) fuse.Status {
	n, st := b.Write(nil, &fuse.WriteIn{Fh: fh}, []byte(text))
	if st.Ok() && int(n) != len(text) {
		return fuse.EIO
	}
	return st
}

func TestWatch(t *testing.T) {
	b, a := newAlarms(t)
	var woken []uint64
	b.wake = func(poller uint64) { woken = append(woken, poller) }
	out, st := b.openNode(b.lookup(t, "7.3/proc/uptime").NodeId, syscall.O_RDWR)
	if !st.Ok() {
		t.Fatal(st)
	}
	if got := b.poll(out.Fh, 77); got&unix.POLLERR == 0 {
		t.Errorf("without a watch: events %#x, want POLLERR", got)
	}
	for text, want := range map[string]fuse.Status{"bad\n": fuse.EINVAL, "panic": fuse.EIO} {
		if st := b.write(out.Fh, text); st != want {
			t.Errorf("%q: got %v, want %v", text, st, want)
		}
	}
	if st := b.write(out.Fh, "ring"); !st.Ok() {
		t.Fatal(st)
	}
	if st := b.write(out.Fh, "ring"); st != fuse.Status(syscall.EBUSY) {
		t.Errorf("second watch: got %v, want EBUSY", st)
	}
	if got := b.poll(out.Fh, 78); got != defaultEvents {
		t.Errorf("before the alarm: events %#x", got)
	}
	a.ring()
	if got := b.poll(out.Fh, 78); got != defaultEvents|unix.POLLPRI {
		t.Errorf("after the alarm: events %#x", got)
	}
	if got := b.poll(out.Fh, 78); got != defaultEvents {
		t.Errorf("the alarm is told twice: events %#x", got)
	}
	if len(woken) != 1 || woken[0] != 78 {
		t.Errorf("woken are %v, want 78", woken)
	}
	b.Release(nil, &fuse.ReleaseIn{Fh: out.Fh})
	if a.count() != 0 {
		t.Error("the watch outlives its file")
	}
	if held := b.slots.find(testSlot).held.Load(); held != 0 {
		t.Errorf("%d bytes are held after release", held)
	}
	if st := b.write(out.Fh, "ring"); st != fuse.EBADF {
		t.Errorf("after release: got %v, want EBADF", st)
	}
	if got := b.poll(out.Fh, 78); got != unix.POLLERR {
		t.Errorf("after release: events %#x", got)
	}
}

func TestWatchesAreBounded(t *testing.T) {
	b, a := newAlarms(t)
	id := b.lookup(t, "7.3/proc/uptime").NodeId
	for n := 0; ; n++ {
		out, st := b.openNode(id, syscall.O_RDWR)
		if !st.Ok() {
			t.Fatal(st)
		}
		st = b.write(out.Fh, "ring")
		if st == fuse.Status(syscall.ENFILE) {
			break
		}
		if !st.Ok() || n > slotBudget/watchCost {
			t.Fatalf("watch %d: %v", n, st)
		}
	}
	if a.count() < 100 {
		t.Errorf("%d watches fit", a.count())
	}
}

func TestNothingIsWrittenToAReadOnlySuperblock(t *testing.T) {
	b := newTestSuperblock(t, renderFunc(hello), Options{})
	out, st := b.openNode(b.lookup(t, "7.3/proc/uptime").NodeId, 0)
	if !st.Ok() {
		t.Fatal(st)
	}
	if st := b.write(out.Fh, "x"); st != fuse.EROFS {
		t.Errorf("got %v, want EROFS", st)
	}
}

func TestAttributesAreNotForTheContainerToChange(t *testing.T) {
	b, _ := newAlarms(t)
	id := b.lookup(t, "7.3/proc/uptime").NodeId
	for valid, want := range map[uint32]fuse.Status{
		fuse.FATTR_SIZE: fuse.OK, fuse.FATTR_SIZE | fuse.FATTR_FH: fuse.OK,
		fuse.FATTR_MODE: fuse.EPERM, fuse.FATTR_UID: fuse.EPERM, fuse.FATTR_GID | fuse.FATTR_SIZE: fuse.EPERM,
	} {
		in := &fuse.SetAttrIn{SetAttrInCommon: fuse.SetAttrInCommon{InHeader: fuse.InHeader{NodeId: id}, Valid: valid}}
		var out fuse.AttrOut
		if st := b.SetAttr(nil, in, &out); st != want || st.Ok() && out.Size < minSize {
			t.Errorf("%#x: got %v size %d, want %v", valid, st, out.Size, want)
		}
	}
}

func TestDevicePolls(t *testing.T) {
	b, a := newAlarms(t)
	out, st := b.openNode(b.lookup(t, "7.3/proc/uptime").NodeId, syscall.O_RDWR)
	if !st.Ok() {
		t.Fatal(st)
	}
	if st := b.write(out.Fh, "ring"); !st.Ok() {
		t.Fatal(st)
	}
	_, k := connectFake(t, b)
	body := binary.NativeEndian.AppendUint64(nil, out.Fh)
	body = binary.NativeEndian.AppendUint64(body, 4711)
	k.send(opPoll, 9, 0, append(body, 1, 0, 0, 0, 0xff, 0, 0, 0))
	if r := k.receive(); r.unique != 9 || r.errno != 0 || len(r.body) != 8 || binary.NativeEndian.Uint32(r.body) != defaultEvents {
		t.Errorf("got %+v", r)
	}
	a.ring()
	if r := k.receive(); r.unique != 0 || int32(r.errno) != -notifyPoll || binary.NativeEndian.Uint64(r.body) != 4711 {
		t.Errorf("notification is %+v", r)
	}
	k.send(opPoll, 10, 0, body[:8])
	if r := k.receive(); r.unique != 10 || r.errno != unix.EIO {
		t.Errorf("half a request: got %+v, want EIO", r)
	}
}
