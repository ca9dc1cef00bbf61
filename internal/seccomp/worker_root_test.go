//go:build root

package seccomp

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"cloister/emul"
	"cloister/internal/sys"
)

// figures are those of all containers here.
var figures = emul.Sysinfo{
	Uptime: 12, Loads: [3]uint64{1 << 16, 2 << 16, 3 << 16}, TotalRAM: 6 << 30, FreeRAM: 5 << 30, SharedRAM: 1 << 20,
	TotalSwap: 1 << 30, FreeSwap: 1 << 29, Procs: 7,
}

type figuresFunc func(container string, tid int) (emul.Sysinfo, error)

func (f figuresFunc) Sysinfo(container string, tid int) (emul.Sysinfo, error) {
	return f(container, tid)
}

type handlerFunc func(*Request) Answer

func (f handlerFunc) Serve(r *Request) Answer { return f(r) }

// sameFigures is sysinfo(2) with figures.
var sameFigures = NewSysinfo(figuresFunc(func(string, int) (emul.Sysinfo, error) { return figures, nil }))

// modes are what a worker can do with sysinfo(2); say tells the test.
var modes = map[string]func(say func(string)) Handler{
	"block": func(say func(string)) Handler {
		return handlerFunc(func(r *Request) Answer {
			r.Note(42)
			say("serving")
			select {}
		})
	},
	"die": func(func(string)) Handler {
		return handlerFunc(func(*Request) Answer {
			return Errno(syscall.Kill(os.Getpid(), syscall.SIGKILL).(syscall.Errno))
		})
	},
	"serve": func(say func(string)) Handler {
		return handlerFunc(func(r *Request) Answer {
			if r.Noted() == 42 {
				say("noted")
			}
			return sameFigures.Serve(r)
		})
	},
}

// beWorker serves a listener with a journal.
func beWorker() error {
	conn, err := sys.NewPacketConn(3)
	if err != nil {
		return err
	}
	say := func(text string) { _ = conn.Send(text) } // the test notices
	a, err := New(Options{
		Journal: sys.NewFD(4), Log: zerolog.New(os.Stderr),
		Handlers: map[string]Handler{callSysinfo: modes[os.Getenv("CLOISTER_TEST_MODE")](say)},
	})
	if err != nil {
		return err
	}
	if err := a.Add(Listener{Container: "c", Name: name(0), FD: sys.NewFD(5)}); err != nil {
		return err
	}
	a.Start()
	say("started")
	_, _, err = conn.Receive(make([]byte, 100)) // until the test ends
	return err
}

// worker is a process with an agent.
type worker struct {
	*exec.Cmd
	said chan string
}

func startWorker(t *testing.T, mode string, journal, listener *sys.FD) *worker {
	t.Helper()
	conn, theirs, err := sys.PacketPair()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), roleEnv+"=worker", "CLOISTER_TEST_MODE="+mode)
	cmd.Stderr = os.Stderr
	cmd.ExtraFiles = []*os.File{theirs}
	for _, fd := range []*sys.FD{journal, listener} {
		duplicate, err := sys.Duplicate(fd.Int())
		if err != nil {
			t.Fatal(err)
		}
		f := os.NewFile(uintptr(duplicate.Int()), "")
		defer f.Close()
		cmd.ExtraFiles = append(cmd.ExtraFiles, f)
	}
	err = cmd.Start()
	theirs.Close()
	if err != nil {
		t.Fatal(err)
	}
	w := &worker{cmd, make(chan string, 1000)}
	t.Cleanup(func() {
		w.kill()
		_ = conn.Close()
	})
	go func() {
		defer close(w.said)
		buf := make([]byte, 100)
		for {
			text, _, err := conn.Receive(buf)
			if err != nil {
				return
			}
			w.said <- text
		}
	}()
	return w
}

func (w *worker) kill() {
	_ = w.Process.Kill()
	_ = w.Wait() // killed
}

// rightSysinfo fails the test if a call has not returned figures.
func rightSysinfo(t *testing.T, o outcome) {
	t.Helper()
	want := make([]byte, sysinfoSize)
	putSysinfo(want, &figures)
	if o.Value != 0 || string(o.Memory) != string(want) {
		t.Errorf("sysinfo returns %d and writes %x, want 0 and %x", o.Value, o.Memory, want)
	}
}

func TestSuccessorAnswersWhatAKilledWorkerHasLeft(t *testing.T) {
	const threads = 100
	tr := startTracee(t)
	journal := createTestJournal(t)
	killed := startWorker(t, "block", journal, tr.listener)
	finished := tr.start(order{
		Nr: unix.SYS_SYSINFO, Args: [6]uint64{arena}, Stride: 256, Threads: threads, Show: sysinfoSize,
	})
	for served := 0; served < perContainer; {
		if within(t, killed.said, "call in service") == "serving" {
			served++
		}
	}
	killed.kill()

	successor := startWorker(t, "serve", journal, tr.listener)
	for i, o := range finished() {
		rightSysinfo(t, o)
		if t.Failed() {
			t.Fatalf("thread %d", i)
		}
	}
	successor.kill()
	noted := 0
	for text := range successor.said {
		if text == "noted" {
			noted++
		}
	}
	if noted != perContainer {
		t.Errorf("%d calls were served again with the predecessor's note, want %d", noted, perContainer)
	}
}

func TestCallsAreAnsweredWhileWorkersAreKilledAgainAndAgain(t *testing.T) {
	tr := startTracee(t)
	journal := createTestJournal(t)
	finished := make(chan []outcome, 1)
	wait := tr.start(order{
		Nr: unix.SYS_SYSINFO, Args: [6]uint64{arena}, Stride: 256, Threads: 20, Show: sysinfoSize, Repeat: 2000,
	})
	go func() { finished <- wait() }()
	for kills := 0; ; kills++ {
		w := startWorker(t, "serve", journal, tr.listener)
		within(t, w.said, "start of the worker")
		select {
		case outcomes := <-finished:
			for _, o := range outcomes {
				rightSysinfo(t, o)
			}
			if t.Logf("%d workers were killed", kills); kills < 5 {
				t.Errorf("only %d workers were killed meanwhile", kills)
			}
			return
		case <-time.After(time.Duration(rand.IntN(20000)) * time.Microsecond):
			w.kill()
		}
	}
}

func TestCallThatKillsWorkersIsGivenUp(t *testing.T) {
	tr := startTracee(t)
	journal := createTestJournal(t)
	finished := tr.start(sysinfoAt(arena))
	for range 1 + maxAttempts {
		w := startWorker(t, "die", journal, tr.listener)
		died := make(chan error, 1)
		go func() { died <- w.Wait() }()
		within(t, died, "death of the worker")
	}
	startWorker(t, "serve", journal, tr.listener)
	if got := finished()[0].Value; got != errno(syscall.EIO) {
		t.Errorf("call returns %d, want EIO", got)
	}
	if got := tr.do(sysinfoAt(arena)).Value; got != 0 {
		t.Errorf("next call returns %d, want 0", got)
	}
}

func TestAgentThatClosesLeavesCallsToItsSuccessor(t *testing.T) {
	tr := startTracee(t)
	journal := createTestJournal(t)
	serving := make(chan struct{}, 1)
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	closing := startAgent(t, journal, map[string]Handler{callSysinfo: handlerFunc(func(r *Request) Answer {
		r.Note(42)
		serving <- struct{}{}
		<-release
		return Failed(r.Valid())
	})}, Listener{Container: "c", Name: name(0), FD: duplicate(t, tr.listener)})
	finished := tr.start(order{Nr: unix.SYS_SYSINFO, Args: [6]uint64{arena}, Show: sysinfoSize})
	within(t, serving, "call in service")
	start := time.Now()
	if err := closing.Close(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took > 5*closeTimeout {
		t.Errorf("Close took %v", took)
	}
	startWorker(t, "serve", journal, tr.listener)
	rightSysinfo(t, finished()[0])
}
