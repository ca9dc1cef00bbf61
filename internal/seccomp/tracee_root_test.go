//go:build root

package seccomp

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"cloister/internal/sys"
	"cloister/internal/sys/systest"
)

// roleEnv makes the test program something else: a process under a filter, or an agent.
const roleEnv = "CLOISTER_TEST_ROLE"

func TestMain(m *testing.M) {
	var err error
	switch role := os.Getenv(roleEnv); role {
	case "":
		os.Exit(m.Run())
	case "tracee":
		err = beTracee()
	case "worker":
		err = beWorker()
	default:
		err = fmt.Errorf("no such role: %s", role)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// traps are what tracees have handed over, on the machine that runs the tests.
func traps() []systest.Trap {
	var traps []systest.Trap
	for e := range calls {
		traps = append(traps, systest.Trap{Arch: e.arch, Nr: uint32(e.nr)})
	}
	return traps
}

// The arena is memory of the tracee at a fixed address that also i386 reaches: room for
// buffers, then a page that is only readable, then none.
const (
	arena     = uint64(0xa0000000)
	arenaRoom = 64 * 4096 // for machines with pages of 64 KiB as well
)

var (
	readOnly = arena + arenaRoom
	unmapped = readOnly + uint64(os.Getpagesize())
)

// order is what a tracee is told to do: make a call, Threads times at once and each time
// with the argument Moved further by Stride.
type order struct {
	How     string // int80, hang (let access to the argument's page hang), deaf (handle no signal), or a plain call
	Nr      uint64
	Args    [6]uint64
	Threads int
	Moved   int
	Stride  uint64
	Repeat  int // one after the other, until one fails
	Number  int // the argument, if not 0, that numbers these
	Show    int // bytes of the moved argument's memory
}

// outcome is what came of one of the calls.
type outcome struct {
	Value  int64 // negative errno, as the kernel returns it
	Memory []byte
	Nanos  int64 // all of the repetitions
}

func beTracee() error {
	conn, err := sys.NewPacketConn(3)
	if err != nil {
		return err
	}
	if err := mapArena(); err != nil {
		return err
	}
	if os.Getenv("CLOISTER_TEST_PLAIN") == "" {
		listener, err := systest.InstallFilter(traps()...)
		if err != nil {
			return err
		}
		if err := conn.Send("listener", listener.Int()); err != nil {
			return err
		}
		if err := listener.Close(); err != nil {
			return err
		}
	}
	buf := make([]byte, 4096)
	for {
		text, _, err := conn.Receive(buf)
		if err != nil {
			return nil // the test has ended
		}
		var o order
		if err := json.Unmarshal([]byte(text), &o); err != nil {
			return err
		}
		answer, err := json.Marshal(o.run())
		if err != nil {
			return err
		}
		if err := conn.Send(string(answer)); err != nil {
			return err
		}
	}
}

func mapArena() error {
	for at, prot := range map[uint64]int{arena: unix.PROT_READ | unix.PROT_WRITE, readOnly: unix.PROT_READ} {
		length := uintptr(arenaRoom)
		if at == readOnly {
			length = uintptr(os.Getpagesize())
		}
		_, err := unix.MmapPtr(-1, 0, pointer(at), length, prot,
			unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_FIXED_NOREPLACE)
		if err != nil {
			return os.NewSyscallError("mmap", err)
		}
	}
	return nil
}

// pointer is for memory that is not Go's.
func pointer(at uint64) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&at)) }

func (o order) run() []outcome {
	outcomes := make([]outcome, max(o.Threads, 1))
	var threads sync.WaitGroup
	for i := range outcomes {
		args := o.Args
		args[o.Moved] += uint64(i) * o.Stride
		threads.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			outcomes[i] = o.one(args)
		})
	}
	threads.Wait()
	return outcomes
}

func (o order) one(args [6]uint64) (done outcome) {
	start := time.Now()
	for n := range max(o.Repeat, 1) {
		if o.Number != 0 {
			args[o.Number] = uint64(n)
		}
		if done.Value = o.call(args); done.Value < 0 {
			break
		}
	}
	done.Nanos = int64(time.Since(start))
	if o.Show > 0 {
		done.Memory = slices.Clone(unsafe.Slice((*byte)(pointer(args[o.Moved])), o.Show))
	}
	return done
}

func (o order) call(args [6]uint64) int64 {
	switch o.How {
	case "int80":
		return callI386(o.Nr, args)
	case "hang":
		_, err := systest.HangAccess(args[0], uint64(os.Getpagesize())) // open until the process ends
		var e unix.Errno
		if errors.As(err, &e) {
			return errno(e)
		}
		return 0
	case "deaf":
		return ignoreSignals()
	}
	r, _, errno := unix.Syscall6(uintptr(o.Nr), uintptr(args[0]), uintptr(args[1]), uintptr(args[2]),
		uintptr(args[3]), uintptr(args[4]), uintptr(args[5]))
	if errno != 0 {
		return -int64(errno)
	}
	return int64(r)
}

// ignoreSignals leaves the process without a handler for any signal.
func ignoreSignals() int64 {
	const sets = 8
	var byDefault struct{ handler, flags, restorer, mask uint64 } // struct sigaction, with none
	for signal := uintptr(1); signal <= 8*sets; signal++ {
		_, _, e := unix.RawSyscall6(unix.SYS_RT_SIGACTION, signal, uintptr(unsafe.Pointer(&byDefault)), 0, sets, 0, 0)
		if e != 0 && e != unix.EINVAL { // SIGKILL and SIGSTOP can't be handled
			return errno(e)
		}
	}
	return 0
}

// tracee is a process under a filter.
type tracee struct {
	t        testing.TB
	cmd      *exec.Cmd
	conn     *sys.PacketConn
	listener *sys.FD
}

func startTracee(t testing.TB, env ...string) *tracee {
	t.Helper()
	conn, theirs, err := sys.PacketPair()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(append(os.Environ(), roleEnv+"=tracee"), env...)
	cmd.Stderr = os.Stderr
	cmd.ExtraFiles = []*os.File{theirs}
	err = cmd.Start()
	theirs.Close()
	if err != nil {
		t.Fatal(err)
	}
	tr := &tracee{t: t, cmd: cmd, conn: conn}
	t.Cleanup(tr.end)
	if len(env) > 0 {
		return tr
	}
	text, fds, err := conn.Receive(make([]byte, 100))
	if err != nil || text != "listener" || len(fds) != 1 {
		t.Fatalf("tracee says %q with %d descriptors: %v", text, len(fds), err)
	}
	tr.listener = fds[0]
	return tr
}

// end lets the process end, if it has not.
func (tr *tracee) end() {
	_ = tr.conn.Close()
	_ = tr.cmd.Process.Kill()
	_ = tr.cmd.Wait() // it was killed
}

// start gives an order; the function returned waits for what comes of it.
func (tr *tracee) start(o order) func() []outcome {
	tr.t.Helper()
	text, err := json.Marshal(o)
	if err != nil {
		tr.t.Fatal(err)
	}
	if err := tr.conn.Send(string(text)); err != nil {
		tr.t.Fatal(err)
	}
	type reply struct {
		outcomes []outcome
		err      error
	}
	received := make(chan reply, 1)
	go func() {
		var r reply
		text, _, err := tr.conn.Receive(make([]byte, 1<<18))
		r.err = errors.Join(err, json.Unmarshal([]byte(text), &r.outcomes))
		received <- r
	}()
	return func() []outcome {
		tr.t.Helper()
		r := within(tr.t, received, "answer of the tracee")
		if r.err != nil {
			tr.t.Fatal(r.err)
		}
		return r.outcomes
	}
}

// do gives an order for one call.
func (tr *tracee) do(o order) outcome {
	tr.t.Helper()
	return tr.start(o)()[0]
}

// sysinfoAt orders sysinfo(2) with an address.
func sysinfoAt(addr uint64) order { return order{Nr: unix.SYS_SYSINFO, Args: [6]uint64{addr}} }

// errno is what a call returns that fails.
func errno(e unix.Errno) int64 { return -int64(e) }

// fds counts the open descriptors of the test.
func fds(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// patience is for machines with much else to do.
const patience = time.Minute

// within returns what comes from a channel, or fails the test.
func within[T any](t testing.TB, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		buf := make([]byte, 1<<20)
		t.Fatalf("no %s after %v\n%s", what, patience, buf[:runtime.Stack(buf, true)])
		panic("unreachable")
	}
}

func name(i int) string { return "listener-" + strconv.Itoa(i) }
