package memory

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// steps makes the test binary a worker that does everything once, between two SIGSTOPs.
const steps = "steps"

func init() {
	if os.Getenv(workerVariable) == steps {
		runtime.LockOSThread() // to the thread that is traced
	}
}

func takeSteps() {
	m, err := Open(os.NewFile(3, "memory"))
	if err != nil {
		panic(err)
	}
	stop := func() {
		if err := unix.Tgkill(os.Getpid(), unix.Gettid(), unix.SIGSTOP); err != nil {
			panic(err)
		}
	}
	long, short := whole(7, 1500), whole(7, 100)
	other := whole(9, 200)
	request := append(make([]byte, headerSize), whole(8, 60)...)
	stop()
	h := openAs(m, 7)
	must(h.Publish(long))
	must(h.SetNote(note(7)))
	must(h.Publish(short))
	h.SetPoller(3)
	h.SetFlags(0, 1)
	second := openAs(m, 9)
	must(second.Publish(other))
	must(h.Publish(long))
	h.Free()
	h = openAs(m, 9)
	must(h.Publish(other))
	must(second.Publish(other))
	must(m.SetInit(other))
	p, _ := m.Park(request)
	m.Park(request)
	m.Answered(p)
	stop()
	os.Exit(0)
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func openAs(m *Memory, node uint64) Handle {
	h, err := m.NewHandle(Opening{Node: node, Unique: ^node})
	must(err)
	return h
}

// TestEachInstruction has a worker do one instruction after the other. At each that
// changes something the worker could be killed, and a successor finds all whole.
func TestEachInstruction(t *testing.T) {
	f := newFile(t)
	watch := open(t, f)
	pid := startTraced(t, f)
	changes, last := 0, []byte(nil)
	for {
		if err := unix.PtraceSingleStep(pid); err != nil {
			t.Fatal(err)
		}
		if waitStop(t, pid) == unix.SIGSTOP {
			break
		}
		now := bytes.Join([][]byte{
			watch.bytes[:4096],
			watch.bytes[handlesAt : handlesAt+4*recordSize],
			watch.bytes[parkedAt : parkedAt+4*ParkedSize],
			watch.blocks.at(block{0, 0})[:1600],
			watch.blocks.at(block{0, 1})[:1600],
		}, nil)
		if bytes.Equal(now, last) {
			continue
		}
		changes++
		last = now
		m, err := Open(f)
		if err != nil {
			t.Fatal(err)
		}
		wantWhole(t, m)
		if got := m.Init(); got != nil && !isWhole(got, 9) {
			t.Errorf("got INIT %q", got)
		}
		m.Close()
		if t.Failed() {
			t.Fatalf("after change %d", changes)
		}
	}
	// Or nothing was seen.
	if changes < 50 {
		t.Errorf("got %d changes", changes)
	}
	if handles := wantConsistent(t, open(t, f)); len(handles) != 2 {
		t.Errorf("got %d handles at the end, want 2", len(handles))
	}
}

// startTraced returns the process at its first SIGSTOP.
func startTraced(t *testing.T, f *os.File) int {
	t.Helper()
	runtime.LockOSThread() // only the thread that started it may trace it
	t.Cleanup(runtime.UnlockOSThread)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), workerVariable+"="+steps, "GOGC=off", "GODEBUG=asyncpreemptoff=1")
	cmd.ExtraFiles = []*os.File{f}
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Ptrace: true}
	if err := cmd.Start(); err != nil {
		t.Skipf("tracing a child is not possible here: %v", err)
	}
	pid := cmd.Process.Pid
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for sig := waitStop(t, pid); sig != unix.SIGSTOP; sig = waitStop(t, pid) {
		if sig == unix.SIGTRAP { // its execve
			sig = 0
		}
		if err := unix.PtraceCont(pid, int(sig)); err != nil {
			t.Fatal(err)
		}
	}
	return pid
}

func waitStop(t *testing.T, pid int) unix.Signal {
	t.Helper()
	var status unix.WaitStatus
	for {
		_, err := unix.Wait4(pid, &status, unix.WALL, nil)
		if err == nil {
			break
		}
		if !errors.Is(err, unix.EINTR) {
			t.Fatal(err)
		}
	}
	if !status.Stopped() {
		t.Fatalf("the worker ended: %#x", status)
	}
	return status.StopSignal()
}
