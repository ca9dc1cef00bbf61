package sys_test

import (
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

func (u *urgent) send() {
	u.t.Helper()
	if err := unix.Send(int(u.from.Fd()), []byte{'!'}, unix.MSG_OOB); err != nil {
		u.t.Fatal(err)
	}
}

func TestEventWatcher(t *testing.T) {
	w := eventWatcher(t)
	fired := make(chan string, 100)
	first, second := newUrgent(t), newUrgent(t)
	add := func(u *urgent, name string) func() {
		remove, err := w.Add(u.fd, func(gone bool) {
			if gone {
				t.Errorf("%s is said to be gone", name)
			}
			fired <- name
		})
		if err != nil {
			t.Fatal(err)
		}
		return remove
	}
	removeFirst, removeSecond := add(first, "first"), add(second, "second")
	for _, u := range []struct {
		*urgent
		name string
	}{{first, "first"}, {second, "second"}, {first, "first"}} {
		u.send()
		if who := <-fired; who != u.name {
			t.Fatalf("%s fired, want %s", who, u.name)
		}
	}

	removeFirst()
	first.send()
	second.send()
	if who := <-fired; who != "second" {
		t.Fatalf("%s fired, which has been removed", who)
	}
	removeFirst()
	removeFirst = add(first, "first again") // what has been removed can be added
	if who := <-fired; who != "first again" {
		t.Fatalf("%s fired, want first again, whose data are still there", who)
	}
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
	running, end := make(chan struct{}), make(chan struct{})
	done := false
	remove, err := w.Add(u.fd, func(bool) {
		close(running)
		<-end
		done = true
	})
	if err != nil {
		t.Fatal(err)
	}
	u.send()
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
	u.send()
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
