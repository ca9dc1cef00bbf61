package sys

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// OpenProcess opens a pidfd: a handle on this very process, even after its
// number has been reused. ESRCH means that there is no such process.
func OpenProcess(pid int) (*FD, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil, os.NewSyscallError("pidfd_open", err)
	}
	return &FD{fd}, nil
}

// EnterMounts moves the calling thread into the mount namespace of the process
// behind a pidfd, which can't be that of another by now. ESRCH means that the
// process has ended.
func EnterMounts(process *FD) error {
	return os.NewSyscallError("setns", unix.Setns(process.fd, NewNS))
}

// WriteTo writes to a descriptor of another process, as that process would: with
// its file offset, and through sockets as well.
func WriteTo(pid, fd int, text string) error {
	process, err := OpenProcess(pid)
	if err != nil {
		return err
	}
	defer process.Close()
	n, err := unix.PidfdGetfd(process.fd, fd, 0)
	if err != nil {
		return os.NewSyscallError("pidfd_getfd", err)
	}
	f := os.NewFile(uintptr(n), "")
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// ExitWatcher tells when processes end. One goroutine waits for all of them.
type ExitWatcher struct {
	epoll *FD
	wake  *FD           // eventfd that ends the goroutine
	done  chan struct{} // closed by the goroutine

	mu      sync.Mutex
	watched map[int32]watch // by pidfd number, guarded by mu
}

type watch struct {
	process *FD
	ended   func()
}

// NewExitWatcher starts a watcher.
func NewExitWatcher() (*ExitWatcher, error) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	w := &ExitWatcher{epoll: &FD{ep}, watched: map[int32]watch{}, done: make(chan struct{})}
	ev, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, errors.Join(os.NewSyscallError("eventfd", err), w.epoll.Close())
	}
	w.wake = &FD{ev}
	if err := w.add(ev); err != nil {
		return nil, errors.Join(err, w.wake.Close(), w.epoll.Close())
	}
	go w.run()
	return w, nil
}

// Watch calls ended, once and on the watcher's goroutine, when the process behind
// the pidfd has ended. The watcher owns the descriptor from now on.
func (w *ExitWatcher) Watch(process *FD, ended func()) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.add(process.fd); err != nil {
		return errors.Join(err, process.Close())
	}
	w.watched[int32(process.fd)] = watch{process, ended}
	return nil
}

func (w *ExitWatcher) add(fd int) error {
	err := unix.EpollCtl(w.epoll.fd, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
	return os.NewSyscallError("epoll_ctl", err)
}

func (w *ExitWatcher) run() {
	defer close(w.done)
	events := make([]unix.EpollEvent, 64)
	for {
		n, err := unix.EpollWait(w.epoll.fd, events, -1)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			panic(fmt.Sprintf("sys: epoll_wait on an own descriptor: %v", err))
		}
		for _, ev := range events[:n] {
			if int(ev.Fd) == w.wake.fd {
				return
			}
			w.end(ev.Fd)
		}
	}
}

func (w *ExitWatcher) end(fd int32) {
	w.mu.Lock()
	ended, ok := w.watched[fd]
	if !ok || !hasEnded(ended.process) {
		w.mu.Unlock()
		return
	}
	delete(w.watched, fd)
	w.mu.Unlock()
	// Closing alone does not take it out of the epoll set while a child that is
	// between fork and exec has a copy: epoll would go on to report the number,
	// which by then may be that of another process.
	if err := unix.EpollCtl(w.epoll.fd, unix.EPOLL_CTL_DEL, int(fd), nil); err != nil {
		panic(fmt.Sprintf("sys: epoll_ctl on own descriptors: %v", err))
	}
	_ = ended.process.Close() // only read from
	ended.ended()
}

// hasEnded asks the process itself, whatever epoll says. In doubt it has not, and
// epoll will report it again.
func hasEnded(process *FD) bool {
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(process.fd), Events: unix.POLLIN}}, 0)
	return err == nil && n == 1
}

// Close ends the watcher; nothing is called any more when it returns.
func (w *ExitWatcher) Close() error {
	one := [8]byte{1}
	if _, err := unix.Write(w.wake.fd, one[:]); err != nil {
		return os.NewSyscallError("write eventfd", err)
	}
	<-w.done
	w.mu.Lock()
	defer w.mu.Unlock()
	errs := []error{w.epoll.Close(), w.wake.Close()}
	for _, e := range w.watched {
		errs = append(errs, e.process.Close())
	}
	w.watched = nil
	return errors.Join(errs...)
}
