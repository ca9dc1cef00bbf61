package sys

import (
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestOneShotTellsOnceUntilArm(t *testing.T) {
	o, err := NewOneShot()
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	fd := NewFD(int(r.Fd()))
	const id = 1<<40 + 7
	if err := o.Add(fd, id); err != nil {
		t.Fatal(err)
	}
	waits := make(chan Ready)
	wait := func() {
		ready, more, err := o.Wait()
		if err != nil {
			t.Error(err)
		}
		if !more {
			ready = Ready{}
		}
		waits <- ready
	}
	expect := func(what string, want Ready) {
		t.Helper()
		select {
		case got := <-waits:
			if got != want {
				t.Errorf("%s: %+v, want %+v", what, got, want)
			}
		case <-time.After(time.Minute):
			t.Fatalf("%s: nothing", what)
		}
	}
	if _, err := w.WriteString("input"); err != nil {
		t.Fatal(err)
	}
	go wait()
	expect("input", Ready{ID: id, Input: true})

	again, err := unix.Poll([]unix.PollFd{{Fd: int32(o.loop.epoll.fd), Events: unix.POLLIN}}, 0)
	if err != nil || again != 0 {
		t.Errorf("input that is still there is told again: %d, %v", again, err)
	}
	go wait()
	if err := o.Arm(fd, id); err != nil {
		t.Fatal(err)
	}
	expect("input after Arm", Ready{ID: id, Input: true})

	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Read(make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	if err := o.Arm(fd, id); err != nil {
		t.Fatal(err)
	}
	go wait()
	expect("end", Ready{ID: id, Ended: true})

	if err := o.Remove(fd); err != nil {
		t.Fatal(err)
	}
	go wait()
	go wait()
	if err := o.Stop(); err != nil {
		t.Fatal(err)
	}
	expect("stop", Ready{})
	expect("stop for another", Ready{})
	if err := o.Close(); err != nil {
		t.Error(err)
	}
}
