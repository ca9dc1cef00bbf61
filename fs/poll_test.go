package fs

import (
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

func newAlarms(t *testing.T) (*fakeKernel, *alarms) {
	t.Helper()
	a := &alarms{renderFunc: hello}
	return serveFake(t, a, Options{Writer: a}), a
}

func TestWatch(t *testing.T) {
	k, a := newAlarms(t)
	f, errno := k.open(k.lookup("7.3/proc/uptime").NodeId, syscall.O_RDWR)
	if errno != 0 {
		t.Fatal(errno)
	}
	if got := k.poll(f, 77); got&unix.POLLERR == 0 {
		t.Errorf("without a watch: events %#x, want POLLERR", got)
	}
	for text, want := range map[string]unix.Errno{"bad\n": unix.EINVAL, "panic": unix.EIO} {
		if errno := k.write(f, text); errno != want {
			t.Errorf("%q: got %v, want %v", text, errno, want)
		}
	}
	if errno := k.write(f, "ring"); errno != 0 {
		t.Fatal(errno)
	}
	if errno := k.write(f, "ring"); errno != unix.EBUSY {
		t.Errorf("second watch: got %v, want EBUSY", errno)
	}
	if got := k.poll(f, 78); got != defaultEvents {
		t.Errorf("before the alarm: events %#x", got)
	}
	a.ring()
	k.expectNotice(notifyInvalInode, fuse.NotifyInvalInodeOut{Ino: f.node}, "") // of the open
	k.expectNotice(notifyStore, fuse.NotifyStoreOut{Nodeid: f.node, Offset: minSize - 1, Size: 1}, "\x00")
	k.expectNotice(notifyPoll, uint64(78), "")
	if got := k.poll(f, 78); got != defaultEvents|unix.POLLPRI {
		t.Errorf("after the alarm: events %#x", got)
	}
	if got := k.poll(f, 78); got != defaultEvents {
		t.Errorf("the alarm is told twice: events %#x", got)
	}
	k.expectNoNotice()
	f.release()
	if a.count() != 0 {
		t.Error("the watch outlives its file")
	}
	if held := k.held(); held != 0 {
		t.Errorf("%d bytes are held after release", held)
	}
	if errno := k.write(f, "ring"); errno != unix.EBADF {
		t.Errorf("after release: got %v, want EBADF", errno)
	}
	if got := k.poll(f, 78); got != unix.POLLERR {
		t.Errorf("after release: events %#x", got)
	}
}

func TestWatchesAreBounded(t *testing.T) {
	k, a := newAlarms(t)
	id := k.lookup("7.3/proc/uptime").NodeId
	for n := 0; ; n++ {
		f, errno := k.open(id, syscall.O_RDWR)
		if errno != 0 {
			t.Fatal(errno)
		}
		errno = k.write(f, "ring")
		if errno == unix.ENFILE {
			break
		}
		if errno != 0 || n > slotBudget/watchCost {
			t.Fatalf("watch %d: %v", n, errno)
		}
	}
	if a.count() < 100 {
		t.Errorf("%d watches fit", a.count())
	}
}

func TestNothingIsWrittenToAReadOnlySuperblock(t *testing.T) {
	k := serveFake(t, renderFunc(hello), Options{})
	if errno := k.write(k.mustOpen("proc/uptime"), "x"); errno != unix.EROFS {
		t.Errorf("got %v, want EROFS", errno)
	}
}

func TestAttributesAreNotForTheContainerToChange(t *testing.T) {
	a := &alarms{renderFunc: hello}
	b := newTestSuperblock(t, a, Options{Writer: a})
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
