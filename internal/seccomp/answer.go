package seccomp

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"

	"cloister/internal/sys"
)

// Answer is what the caller gets.
type Answer struct {
	value int64
	errno syscall.Errno
	goOn  bool
	err   error // for the log

	file        *sys.FD
	closeOnExec bool
}

// Return lets the call succeed with v.
func Return(v int64) Answer { return Answer{value: v} }

// Descriptor gives the caller a copy of a descriptor, whose number is what the call returns.
// The descriptor is closed.
func Descriptor(fd *sys.FD, closeOnExec bool) Answer {
	return Answer{file: fd, closeOnExec: closeOnExec}
}

// Errno lets the call fail, as the kernel's would.
func Errno(e syscall.Errno) Answer { return Answer{errno: e} }

// Continue lets the kernel do the call, with arguments and memory that it reads
// itself: right only where every outcome is safe, and never because something failed.
func Continue() Answer { return Answer{goOn: true} }

// Failed lets the call fail with EIO because of an error that is not the caller's, and
// which is logged.
func Failed(err error) Answer { return Answer{errno: unix.EIO, err: err} }

// give answers the call whose notification has come from the listener.
func (a Answer) give(listener *sys.FD, id uint64) error {
	if a.file != nil {
		err := sys.RespondWithFD(listener, id, a.file, a.closeOnExec)
		var errno syscall.Errno
		if !errors.As(err, &errno) || errno == unix.ENOENT {
			return err
		}
		a = Errno(errno) // the caller has no room for it
	}
	response := a.response(id)
	return sys.RespondNotification(listener, &response)
}

// response is the answer in the kernel's form.
func (a Answer) response(id uint64) sys.NotificationResponse {
	r := sys.NotificationResponse{ID: id}
	switch {
	case a.goOn:
		r.Flags = sys.ContinueCall
	case a.errno != 0:
		r.Error = -int32(a.errno)
	default:
		r.Value = a.value
	}
	return r
}

// Outcome says in a word what becomes of the call.
func (a Answer) Outcome() string {
	switch {
	case a.goOn:
		return "continued"
	case a.errno != 0:
		return "failed"
	}
	return "returned"
}
