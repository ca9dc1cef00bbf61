package keeper

import (
	"os"
	"runtime"
	"strconv"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// A killed worker that does not end, as one that waits in the kernel. Here it is
// held by a tracer: its parent does not get its end before the tracer has.
func TestWorkerThatCantBeKilled(t *testing.T) {
	h := start(t)
	w := h.nextReady()
	w.do("store", "a", "content")
	w.do("silent", "", "")
	release := hold(t, w.PID)

	next := h.nextReady()
	next.wantContent("a", "content")
	h.eventually("status", func(s *Status) bool {
		return s.Kills == 1 && s.LastExit.Reason == "hung and was killed, but has not ended"
	})
	// Also the keeper after an upgrade reaps it.
	h.signal(syscall.SIGHUP)
	h.nextReady().wantContent("a", "content")
	if _, err := os.Stat("/proc/" + strconv.Itoa(w.PID)); err != nil {
		t.Fatalf("the worker is gone too early: %v", err)
	}
	release()
	eventually(t, "the worker is reaped", func() bool {
		_, err := os.Stat("/proc/" + strconv.Itoa(w.PID))
		return os.IsNotExist(err)
	})
}

// hold traces the process, so that it stays when it is killed, until release.
func hold(t *testing.T, pid int) (release func()) {
	t.Helper()
	traced, done := make(chan error), make(chan struct{})
	go func() {
		runtime.LockOSThread() // the tracer; it ends with the goroutine
		traced <- unix.PtraceSeize(pid)
		<-done
		var err error
		for err == nil { // it was killed; then there is none
			_, err = unix.Wait4(pid, nil, unix.WALL, nil)
		}
		traced <- nil
	}()
	if err := <-traced; err != nil {
		close(done)
		<-traced
		t.Skipf("tracing a child's child: %v", err)
	}
	return func() { close(done); <-traced }
}
