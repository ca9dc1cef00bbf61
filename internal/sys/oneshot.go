package sys

import (
	"errors"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// OneShot waits for input on many descriptors, with any number of goroutines. What is
// ready is told to one of them, and not again until Arm.
type OneShot struct {
	loop *epollLoop
	// armed counts calls of Add and Arm. What comes before one of these comes before what
	// Wait then returns, and Go's memory model, which knows nothing of epoll, is told so.
	armed atomic.Uint64
}

// NewOneShot returns one that waits for nothing.
func NewOneShot() (*OneShot, error) {
	loop, err := newEpollLoop()
	if err != nil {
		return nil, err
	}
	return &OneShot{loop: loop}, nil
}

// Add begins to wait for input on a descriptor, or for its end. ids are the caller's,
// and below the highest number.
func (o *OneShot) Add(fd *FD, id uint64) error {
	number := fd.fd
	o.armed.Add(1)
	return o.loop.add(number, unix.EPOLLIN|unix.EPOLLONESHOT, id)
}

// Arm waits for it again, after Wait has returned its id.
func (o *OneShot) Arm(fd *FD, id uint64) error {
	ev, number := epollEvent(unix.EPOLLIN|unix.EPOLLONESHOT, id), fd.fd
	o.armed.Add(1)
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(o.loop.epoll.fd, unix.EPOLL_CTL_MOD, number, &ev))
}

// Remove does not wait for it any more.
func (o *OneShot) Remove(fd *FD) error { return o.loop.remove(fd.fd) }

// Ready is what Wait has found.
type Ready struct {
	ID    uint64
	Input bool // there was something to read
	Ended bool // and there will be nothing more
}

// Wait returns a descriptor that is ready, or false after Stop.
func (o *OneShot) Wait() (Ready, bool, error) {
	var events [1]unix.EpollEvent
	for {
		n, err := unix.EpollWait(o.loop.epoll.fd, events[:], -1)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return Ready{}, false, os.NewSyscallError("epoll_wait", err)
		}
		if n < 1 {
			continue
		}
		o.armed.Load()
		id := eventID(&events[0])
		return Ready{
			ID:    id,
			Input: events[0].Events&unix.EPOLLIN != 0,
			Ended: events[0].Events&unix.EPOLLHUP != 0,
		}, id != wakeID, nil
	}
}

// Stop ends all calls of Wait, now and later.
func (o *OneShot) Stop() error { return o.loop.wakeUp() }

// Close gives its own descriptors back, after all calls of Wait have returned.
func (o *OneShot) Close() error { return o.loop.close() }
