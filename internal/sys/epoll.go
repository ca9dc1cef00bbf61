package sys

import (
	"errors"
	"fmt"
	"math"
	"os"

	"golang.org/x/sys/unix"
)

// epollLoop waits for events on descriptors, each of which has an id, on a
// goroutine of its own.
type epollLoop struct {
	epoll *FD
	wake  *FD           // eventfd that ends the goroutine
	done  chan struct{} // closed by the goroutine
}

// wakeID is the eventfd's.
const wakeID = math.MaxUint64

func newEpollLoop() (*epollLoop, error) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	l := &epollLoop{epoll: &FD{ep}, done: make(chan struct{})}
	ev, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, errors.Join(os.NewSyscallError("eventfd", err), l.epoll.Close())
	}
	l.wake = &FD{ev}
	if err := l.add(ev, unix.EPOLLIN, wakeID); err != nil {
		return nil, errors.Join(err, l.wake.Close(), l.epoll.Close())
	}
	return l, nil
}

// add begins to wait for events; EPOLLERR and EPOLLHUP are always among them.
func (l *epollLoop) add(fd int, events uint32, id uint64) error {
	ev := epollEvent(events, id)
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(l.epoll.fd, unix.EPOLL_CTL_ADD, fd, &ev))
}

// epollEvent makes the kernel's form of events and id: Fd and Pad together are the 64
// bits that it hands back.
func epollEvent(events uint32, id uint64) unix.EpollEvent {
	return unix.EpollEvent{Events: events, Fd: int32(id), Pad: int32(id >> 32)}
}

func eventID(ev *unix.EpollEvent) uint64 {
	return uint64(uint32(ev.Fd)) | uint64(uint32(ev.Pad))<<32
}

// remove ends the waiting for events on a descriptor. Closing alone does not take
// it out of the epoll set while a child that is between fork and exec has a copy.
func (l *epollLoop) remove(fd int) error {
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(l.epoll.fd, unix.EPOLL_CTL_DEL, fd, nil))
}

// run calls handle for each event until stop.
func (l *epollLoop) run(handle func(id uint64, events uint32)) {
	defer close(l.done)
	events := make([]unix.EpollEvent, 64)
	for {
		n, err := unix.EpollWait(l.epoll.fd, events, -1)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			panic(fmt.Sprintf("sys: epoll_wait on an own descriptor: %v", err))
		}
		for i := range events[:n] {
			id := eventID(&events[i])
			if id == wakeID {
				return
			}
			handle(id, events[i].Events)
		}
	}
}

// stop ends run and waits for it.
func (l *epollLoop) stop() error {
	if err := l.wakeUp(); err != nil {
		return err
	}
	<-l.done
	return nil
}

// wakeUp lets the eventfd be ready from now on.
func (l *epollLoop) wakeUp() error {
	one := [8]byte{1}
	_, err := unix.Write(l.wake.fd, one[:])
	return os.NewSyscallError("write eventfd", err)
}

// close gives the descriptors back, after stop.
func (l *epollLoop) close() error {
	return errors.Join(l.epoll.Close(), l.wake.Close())
}
