package sys_test

import (
	"fmt"
	"net"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"cloister/internal/sys"
)

func eventWatcher(t *testing.T) *sys.EventWatcher {
	t.Helper()
	w, err := sys.NewEventWatcher()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// urgent is a connection on which urgent data, when sent, raises EPOLLPRI.
type urgent struct {
	t        *testing.T
	fd       *sys.FD
	from, to *os.File
}

func newUrgent(t *testing.T) *urgent {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	from, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	to, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	u := &urgent{t: t}
	for conn, f := range map[net.Conn]**os.File{from: &u.from, to: &u.to} {
		if *f, err = conn.(*net.TCPConn).File(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { (*f).Close() })
	}
	u.fd = sys.NewFD(int(u.to.Fd()))
	return u
}

func (u *urgent) send(data byte) {
	u.t.Helper()
	if err := unix.Send(int(u.from.Fd()), []byte{data}, unix.MSG_OOB); err != nil {
		u.t.Fatal(err)
	}
}

// last returns what was sent last, and leaves it there.
func (u *urgent) last() byte {
	var b [1]byte
	if _, _, err := unix.Recvfrom(u.fd.Int(), b[:], unix.MSG_OOB|unix.MSG_PEEK); err != nil {
		u.t.Errorf("urgent data: %v", err)
	}
	return b[0]
}

// eventLog has the calls of an EventWatcher, each with what there was at that time.
type eventLog struct {
	t     *testing.T
	w     *sys.EventWatcher
	calls chan string
	known map[string]bool
}

func (l *eventLog) add(u *urgent, name string) (remove func()) {
	l.t.Helper()
	remove, err := l.w.Add(u.fd, func(gone bool) {
		if gone {
			l.t.Errorf("%s is said to be gone", name)
		}
		l.calls <- fmt.Sprintf("%s %c", name, u.last())
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return remove
}

// want waits for a call. Until then others may be repeated: TCP wakes for a byte of urgent
// data when it finds the byte, and again when it queues the segment.
func (l *eventLog) want(call string) {
	l.t.Helper()
	l.known[call] = true
	for got := ""; got != call; {
		if got = <-l.calls; !l.known[got] {
			l.t.Fatalf("%q, want %q", got, call)
		}
	}
}

func TestEventWatcher(t *testing.T) {
	l := &eventLog{t, eventWatcher(t), make(chan string, 100), map[string]bool{}}
	first, second := newUrgent(t), newUrgent(t)
	removeFirst, removeSecond := l.add(first, "first"), l.add(second, "second")
	first.send('a')
	l.want("first a")
	second.send('b')
	l.want("second b")
	first.send('c')
	l.want("first c")

	removeFirst()
	first.send('d') // nobody is told
	second.send('e')
	l.want("second e")
	removeFirst()
	removeFirst = l.add(first, "first again") // what has been removed can be added
	l.want("first again d")                   // the data are still there
	removeFirst()
	removeSecond()
}

// The writing end of a pipe without a reader is in error for good.
func TestEventWatcherGone(t *testing.T) {
	w := eventWatcher(t)
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	fd := sys.NewFD(p[1])
	defer fd.Close()
	fired := make(chan bool, 100)
	remove, err := w.Add(fd, func(gone bool) { fired <- gone })
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Close(p[0]); err != nil {
		t.Fatal(err)
	}
	if !<-fired {
		t.Error("fired without being gone")
	}
	// It is out of the epoll set, or could not be added.
	again, err := w.Add(fd, func(gone bool) { fired <- gone })
	if err != nil {
		t.Fatal(err)
	}
	if !<-fired {
		t.Error("fired without being gone")
	}
	again()
	remove()
	if len(fired) > 0 {
		t.Errorf("told %d times more", len(fired))
	}
}

func TestEventWatcherRemoveWaits(t *testing.T) {
	w := eventWatcher(t)
	u := newUrgent(t)
	running, end := make(chan struct{}, 100), make(chan struct{})
	done := false
	remove, err := w.Add(u.fd, func(bool) {
		running <- struct{}{}
		<-end
		done = true
	})
	if err != nil {
		t.Fatal(err)
	}
	u.send('!')
	<-running
	go close(end)
	remove()
	if !done {
		t.Error("remove has returned while the callback runs")
	}
}

// removeBeside removes a descriptor from the watcher while its file goes. Whatever comes
// first, the event or the removal, nothing is called after remove.
func removeBeside(t *testing.T, w *sys.EventWatcher, fd *sys.FD, end func() error) {
	t.Helper()
	removed := false // a race, for the detector, unless remove waits
	remove, err := w.Add(fd, func(gone bool) {
		if removed || !gone {
			t.Errorf("removed %v, gone %v", removed, gone)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() { ended <- end() }()
	remove()
	removed = true
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}

func TestEventWatcherRemoveBesideEvent(t *testing.T) {
	w := eventWatcher(t)
	for range 200 {
		var p [2]int
		if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
		fd := sys.NewFD(p[1])
		removeBeside(t, w, fd, func() error { return unix.Close(p[0]) })
		if err := fd.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestEventWatcherClosed(t *testing.T) {
	w, err := sys.NewEventWatcher()
	if err != nil {
		t.Fatal(err)
	}
	u := newUrgent(t)
	remove, err := w.Add(u.fd, func(bool) { t.Error("fired after Close") })
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	u.send('!')
	remove()
	if _, err := w.Add(u.fd, func(bool) {}); err == nil {
		t.Error("a closed watcher took a descriptor")
	}
}

func TestEventWatcherRefuses(t *testing.T) {
	w := eventWatcher(t)
	f, err := os.Open(t.TempDir()) // has no events
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := w.Add(sys.NewFD(int(f.Fd())), func(bool) {}); err == nil {
		t.Error("took a directory")
	}
	if _, err := w.Add(sys.NewFD(-1), func(bool) {}); err == nil {
		t.Error("took a closed descriptor")
	}
}
