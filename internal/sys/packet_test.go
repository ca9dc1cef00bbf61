package sys

import (
	"errors"
	"io"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

func packetPair(t *testing.T) (a, b *PacketConn) {
	t.Helper()
	a, f, err := PacketPair()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	defer f.Close()
	fd, err := Duplicate(int(f.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	b, err = NewPacketConn(fd.Int())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return a, b
}

func memfd(t *testing.T, content string) *FD {
	t.Helper()
	f, err := NewMemfd("test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	if _, err := f.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestPacketCarriesDescriptors(t *testing.T) {
	a, b := packetPair(t)
	one, two := memfd(t, "one"), memfd(t, "two")
	if err := a.Send("first", one.Int(), two.Int()); err != nil {
		t.Fatal(err)
	}
	if err := a.Send("second"); err != nil {
		t.Fatal(err)
	}
	text, fds, err := b.Receive(make([]byte, 100))
	if err != nil || text != "first" || len(fds) != 2 {
		t.Fatalf("got %q, %d descriptors, %v, want first with 2", text, len(fds), err)
	}
	for i, want := range []string{"one", "two"} {
		got := make([]byte, 3)
		if _, err := unix.Pread(fds[i].Int(), got, 0); err != nil || string(got) != want {
			t.Errorf("descriptor %d holds %q, %v, want %q", i, got, err, want)
		}
		if flags, err := unix.FcntlInt(uintptr(fds[i].Int()), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
			t.Errorf("descriptor %d has flags %#x, %v, want close-on-exec", i, flags, err)
		}
		if err := fds[i].Close(); err != nil {
			t.Error(err)
		}
	}
	if text, fds, err := b.Receive(make([]byte, 100)); err != nil || text != "second" || fds != nil {
		t.Errorf("got %q, %v, %v, want second", text, fds, err)
	}
}

// What was sent before the other end was closed is there, even if that end has left
// messages unread.
func TestPacketsOutliveTheirSender(t *testing.T) {
	a, b := packetPair(t)
	if err := a.Send("unread"); err != nil {
		t.Fatal(err)
	}
	if err := b.Send("last words"); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if text, _, err := a.Receive(make([]byte, 100)); err != nil || text != "last words" {
		t.Errorf("got %q, %v, want last words", text, err)
	}
	if _, _, err := a.Receive(make([]byte, 100)); !errors.Is(err, io.EOF) {
		t.Errorf("got %v, want EOF", err)
	}
}

func TestTrySendWaitsForNothing(t *testing.T) {
	a, b := packetPair(t)
	var err error
	sent := 0
	for ; err == nil; sent++ {
		err = a.TrySend("more")
	}
	if !errors.Is(err, unix.EAGAIN) {
		t.Fatalf("got %v, want EAGAIN", err)
	}
	blocked := make(chan error)
	go func() { blocked <- a.Send("waits") }()
	if err := a.TrySend("more"); !errors.Is(err, unix.EAGAIN) {
		t.Errorf("got %v beside a Send, want EAGAIN", err)
	}
	for range sent - 1 {
		if _, _, err := b.Receive(make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-blocked; err != nil {
		t.Error(err)
	}
}

func TestPacketConnRefusesOtherFiles(t *testing.T) {
	f, err := Open(os.DevNull, unix.O_RDONLY)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := NewPacketConn(f.Int()); err == nil {
		t.Errorf("got %v, want an error", c)
	}
}

func TestInherit(t *testing.T) {
	f := memfd(t, "")
	for _, inherit := range []bool{true, false} {
		if err := f.SetInherit(inherit); err != nil {
			t.Fatal(err)
		}
		flags, err := unix.FcntlInt(uintptr(f.Int()), unix.F_GETFD, 0)
		if err != nil || (flags&unix.FD_CLOEXEC == 0) != inherit {
			t.Errorf("got flags %#x, %v, want inherit %v", flags, err, inherit)
		}
	}
	if err := NewFD(1 << 20).SetInherit(false); !errors.Is(err, unix.EBADF) {
		t.Errorf("got %v, want EBADF", err)
	}
}

func TestDuplicateOfAPacketConn(t *testing.T) {
	a, b := packetPair(t)
	fd, err := a.Duplicate()
	if err != nil {
		t.Fatal(err)
	}
	again, err := NewPacketConn(fd.Int())
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if err := errors.Join(a.Close(), again.Send("still there")); err != nil {
		t.Fatal(err)
	}
	if text, _, err := b.Receive(make([]byte, 100)); err != nil || text != "still there" {
		t.Errorf("got %q, %v", text, err)
	}
}
