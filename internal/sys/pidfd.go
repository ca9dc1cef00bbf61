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
	loop *epollLoop

	mu      sync.Mutex
	watched map[uint64]watch // by pidfd number, guarded by mu
}

type watch struct {
	process *FD
	ended   func()
}

// NewExitWatcher starts a watcher.
func NewExitWatcher() (*ExitWatcher, error) {
	loop, err := newEpollLoop()
	if err != nil {
		return nil, err
	}
	w := &ExitWatcher{loop: loop, watched: map[uint64]watch{}}
	go loop.run(w.end)
	return w, nil
}

// Watch calls ended, once and on the watcher's goroutine, when the process behind
// the pidfd has ended. The watcher owns the descriptor from now on.
func (w *ExitWatcher) Watch(process *FD, ended func()) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	id := uint64(process.fd)
	if err := w.loop.add(process.fd, unix.EPOLLIN, id); err != nil {
		return errors.Join(err, process.Close())
	}
	w.watched[id] = watch{process, ended}
	return nil
}

func (w *ExitWatcher) end(id uint64, _ uint32) {
	w.mu.Lock()
	ended, ok := w.watched[id]
	if !ok || !hasEnded(ended.process) {
		w.mu.Unlock()
		return
	}
	delete(w.watched, id)
	w.mu.Unlock()
	// Otherwise epoll could go on to report the number, which by then may be that
	// of another process.
	if err := w.loop.remove(ended.process.fd); err != nil {
		panic(fmt.Sprintf("sys: %v on own descriptors", err))
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
	if err := w.loop.stop(); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	errs := []error{w.loop.close()}
	for _, e := range w.watched {
		errs = append(errs, e.process.Close())
	}
	w.watched = nil
	return errors.Join(errs...)
}
