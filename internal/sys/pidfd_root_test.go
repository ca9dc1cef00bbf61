//go:build root

package sys_test

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"cloister/internal/sys"
	"cloister/internal/sys/systest"
)

func TestExitWatcher(t *testing.T) {
	w, err := sys.NewExitWatcher()
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan int, 3)
	watch := func(pid int) {
		t.Helper()
		fd, err := sys.OpenProcess(pid)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Watch(fd, func() { ended <- pid }); err != nil {
			t.Fatal(err)
		}
	}
	first, second, third := systest.Process(t, 0, 0), systest.Process(t, 0, 0), systest.Process(t, 0, 0)
	watch(first.Process.Pid)
	watch(third.Process.Pid)
	if err := second.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	watch(second.Process.Pid) // a zombie by now, or soon
	if pid := <-ended; pid != second.Process.Pid {
		t.Errorf("process %d ended, want %d", pid, second.Process.Pid)
	}
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if pid := <-ended; pid != first.Process.Pid {
		t.Errorf("process %d ended, want %d", pid, first.Process.Pid)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	_ = third.Process.Kill()
	_ = third.Wait()
	select {
	case pid := <-ended:
		t.Errorf("told of process %d after Close", pid)
	default:
	}
}

// A pidfd's file outlives its number while a child has a copy of it.
func TestExitWatcherForgetsTheNumber(t *testing.T) {
	w, err := sys.NewExitWatcher()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	ended := make(chan string, 8)
	gone, living, last := systest.Process(t, 0, 0), systest.Process(t, 0, 0), systest.Process(t, 0, 0)
	first := open(t, gone)
	number := first.Int()
	kept, err := unix.FcntlInt(uintptr(number), unix.F_DUPFD_CLOEXEC, number+100)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(kept)
	if err := w.Watch(first, func() { ended <- "gone" }); err != nil {
		t.Fatal(err)
	}
	_ = gone.Process.Kill()
	if who := <-ended; who != "gone" {
		t.Fatalf("the %s process ended", who)
	}

	second := open(t, living)
	for second.Int() != number {
		if second.Int() > number {
			t.Fatalf("number %d is not free again", number)
		}
		defer second.Close()
		second = open(t, living)
	}
	if err := w.Watch(second, func() { ended <- "living" }); err != nil {
		t.Fatal(err)
	}
	if err := w.Watch(open(t, last), func() { ended <- "last" }); err != nil {
		t.Fatal(err)
	}
	_ = last.Process.Kill()
	if who := <-ended; who != "last" {
		t.Errorf("the end of the %s process was told", who)
	}
}

// While this process forks all the time, nobody is told of the end of a process
// that lives.
func TestExitWatcherWhileOthersFork(t *testing.T) {
	const workers, rounds = 8, 60
	w, err := sys.NewExitWatcher()
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range rounds {
				cmd := exec.Command("cat")
				in, err := cmd.StdinPipe()
				if err == nil {
					err = cmd.Start()
				}
				if err != nil {
					t.Error(err)
					return
				}
				var mayEnd atomic.Bool
				told := make(chan struct{})
				fd, err := sys.OpenProcess(cmd.Process.Pid)
				if err == nil {
					err = w.Watch(fd, func() {
						if !mayEnd.Load() {
							t.Errorf("told of the end of process %d, which lives", cmd.Process.Pid)
						}
						close(told)
					})
				}
				if err != nil {
					t.Error(err)
				}
				_ = exec.Command("true").Run() // it lives that long
				mayEnd.Store(true)
				_ = in.Close()
				_ = cmd.Wait()
				if err == nil {
					<-told
				}
			}
		})
	}
	wg.Wait()
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}

func open(t *testing.T, cmd *exec.Cmd) *sys.FD {
	t.Helper()
	fd, err := sys.OpenProcess(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	return fd
}

func TestEndedProcessCannotBeOpened(t *testing.T) {
	p := systest.Process(t, 0, 0)
	_ = p.Process.Kill()
	_ = p.Wait()
	if fd, err := sys.OpenProcess(p.Process.Pid); !errors.Is(err, unix.ESRCH) {
		t.Errorf("got %v, %v, want ESRCH", fd, err)
	}
}

func TestWriteToAnotherProcess(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cmd := exec.Command("sleep", "infinity")
	cmd.Stderr = w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close() // the process alone has it now
	if err := sys.WriteTo(cmd.Process.Pid, 2, "from outside"); err != nil {
		t.Error(err)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait() // killed
	if text, err := io.ReadAll(r); err != nil || string(text) != "from outside" {
		t.Errorf("read %q, %v", text, err)
	}
}
