//go:build root

package daemon

import (
	"errors"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestLackOfDescriptorsIsNotTheEndOfAProcess(t *testing.T) {
	h := &host{t: t}
	cmd := h.process(&syscall.SysProcAttr{})
	p, err := identify(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	if err := unix.Prlimit(0, unix.RLIMIT_NOFILE, &unix.Rlimit{Max: before.Max}, nil); err != nil {
		t.Fatal(err)
	}
	_, opened := p.open()
	running := p.running()
	if err := unix.Prlimit(0, unix.RLIMIT_NOFILE, &before, nil); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(opened, unix.EMFILE) || errors.Is(opened, errEnded) {
		t.Errorf("open: got %v, want EMFILE", opened)
	}
	if !running {
		t.Error("a process that lives is taken for one that has ended")
	}
	kill(cmd)
	if fd, err := p.open(); !errors.Is(err, errEnded) {
		_ = fd.Close()
		t.Errorf("open: got %v, want that it has ended", err)
	}
	if p.running() {
		t.Error("a process that has ended is running")
	}
}
