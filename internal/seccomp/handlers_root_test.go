//go:build root

package seccomp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"cloister/emul"
)

func TestSysinfoWritesTheContainersFigures(t *testing.T) {
	asked := make(chan string, 1)
	tr := contain(t, map[string]Handler{callSysinfo: NewSysinfo(figuresFunc(func(c string, tid int) (emul.Sysinfo, error) {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", tid))
		if err != nil {
			return emul.Sysinfo{}, err
		}
		asked <- c + string(status)
		return figures, nil
	}))})
	rightSysinfo(t, tr.do(order{Nr: unix.SYS_SYSINFO, Args: [6]uint64{arena}, Show: sysinfoSize}))
	if got := <-asked; !strings.HasPrefix(got, "c") || !strings.Contains(got, fmt.Sprintf("\nTgid:\t%d\n", tr.cmd.Process.Pid)) {
		t.Errorf("asked for a thread of another process than %d: %s", tr.cmd.Process.Pid, got)
	}
}

func TestSysinfoOfOtherABIs(t *testing.T) {
	if !haveI386 {
		t.Skip("the machine has no i386 and no x32")
	}
	tr := contain(t, map[string]Handler{callSysinfo: sameFigures})
	rightSysinfo(t, tr.do(order{Nr: x32Bit | unix.SYS_SYSINFO, Args: [6]uint64{arena}, Show: sysinfoSize}))

	want := make([]byte, compatSysinfoSize)
	putCompatSysinfo(want, &figures)
	// The upper half of the address is not a 32-bit call's.
	o := tr.do(order{How: "int80", Nr: 116, Args: [6]uint64{arena | 7<<32}})
	o.Memory = tr.do(order{How: "int80", Nr: 116, Args: [6]uint64{arena}, Show: compatSysinfoSize}).Memory
	if o.Value != 0 || string(o.Memory) != string(want) {
		t.Errorf("i386 sysinfo returns %d and writes %x, want 0 and %x", o.Value, o.Memory, want)
	}
	if got := tr.do(order{How: "int80", Nr: 116, Args: [6]uint64{0xfffff000}}).Value; got != errno(unix.EFAULT) {
		t.Errorf("i386 sysinfo with a bad pointer returns %d, want EFAULT", got)
	}
}

func TestBadPointersAreEFAULT(t *testing.T) {
	tr := contain(t, map[string]Handler{callSysinfo: sameFigures})
	for what, addr := range map[string]uint64{
		"null":                  0,
		"kernel":                0xffff888000000000,
		"last":                  ^uint64(0),
		"wraps":                 ^uint64(0) - 50,
		"not canonical":         1 << 62,
		"unmapped":              unmapped,
		"read-only":             readOnly,
		"into a read-only page": readOnly - sysinfoSize/2,
	} {
		if got := tr.do(sysinfoAt(addr)).Value; got != errno(unix.EFAULT) {
			t.Errorf("sysinfo with a pointer that is %s returns %d, want EFAULT", what, got)
		}
	}
	rightSysinfo(t, tr.do(order{Nr: unix.SYS_SYSINFO, Args: [6]uint64{readOnly - sysinfoSize}, Show: sysinfoSize}))
	rightSysinfo(t, tr.do(order{Nr: unix.SYS_SYSINFO, Args: [6]uint64{arena + 4096 - 51}, Show: sysinfoSize}))
}

func TestFiguresThatFailAreEIO(t *testing.T) {
	tr := contain(t, map[string]Handler{callSysinfo: NewSysinfo(figuresFunc(func(string, int) (emul.Sysinfo, error) {
		return emul.Sysinfo{}, errors.New("no figures")
	}))})
	if got := tr.do(sysinfoAt(arena)).Value; got != errno(unix.EIO) {
		t.Errorf("sysinfo returns %d, want EIO", got)
	}
}

type quota struct{ cpus atomic.Int32 }

func (q *quota) CPUs(string, int) (int, error) { return int(q.cpus.Load()), nil }

func TestAffinityHasAsManyCPUsAsTheQuota(t *testing.T) {
	var q quota
	h, err := NewAffinity(&q)
	if err != nil {
		t.Fatal(err)
	}
	tr := contain(t, map[string]Handler{callGetaffinity: h})
	ask := func(pid, length, addr uint64) outcome {
		return tr.do(order{Nr: unix.SYS_SCHED_GETAFFINITY, Args: [6]uint64{pid, length, addr}, Moved: 2, Show: 8})
	}
	real := ask(0, 1024, arena)
	cpus := bits.OnesCount64(binary.LittleEndian.Uint64(real.Memory))
	if real.Value < 8 || cpus == 0 {
		t.Fatalf("without a quota: %d %x", real.Value, real.Memory)
	}
	q.cpus.Store(1)
	got := ask(0, 1024, arena)
	mask, was := binary.LittleEndian.Uint64(got.Memory), binary.LittleEndian.Uint64(real.Memory)
	if got.Value != real.Value || bits.OnesCount64(mask) != 1 || mask != was&-was {
		t.Errorf("quota 1: %d %x of %d %x", got.Value, mask, real.Value, was)
	}
	if got := ask(0, 16, arena+1024); got.Value != min(16, real.Value) {
		t.Errorf("length 16: %d", got.Value)
	}
	if got := ask(uint64(tr.cmd.Process.Pid), 1024, arena); cmp.Diff(got.Memory, real.Memory) != "" {
		t.Errorf("another pid: %x, want %x", got.Memory, real.Memory)
	}
	for _, length := range []uint64{0, 4, 12} {
		if got := ask(0, length, arena).Value; got != errno(unix.EINVAL) {
			t.Errorf("length %d: %d, want EINVAL", length, got)
		}
	}
	// Show reads what is there, so these are asked without it.
	for _, addr := range []uint64{0, unmapped, readOnly} {
		o := order{Nr: unix.SYS_SCHED_GETAFFINITY, Args: [6]uint64{0, 1024, addr}}
		if got := tr.do(o).Value; got != errno(unix.EFAULT) {
			t.Errorf("address %#x: %d, want EFAULT", addr, got)
		}
	}
	if haveI386 && cpus <= 32 {
		o := tr.do(order{How: "int80", Nr: 242, Args: [6]uint64{0, 4, arena}, Moved: 2, Show: 4})
		if o.Value != 4 || binary.LittleEndian.Uint32(o.Memory) != uint32(mask) {
			t.Errorf("i386: %d %x", o.Value, o.Memory)
		}
	}
}

func TestSyslogIsEmpty(t *testing.T) {
	tr := contain(t, map[string]Handler{callSyslog: NewSyslog()})
	for _, c := range []struct {
		action, addr, length uint64
		want                 int64
	}{
		{syslogReadAll, arena, 4096, 0},
		{syslogReadAll, 0, 4096, errno(unix.EINVAL)},
		{syslogReadAll, arena, 1 << 31, errno(unix.EINVAL)},
		{syslogReadAll, 0xffff888000000000, 1, errno(unix.EFAULT)},
		{syslogReadClear, arena, 4096, 0},
		{syslogClear, 0, 0, 0},
		{syslogSizeUnread, 0, 0, 0},
		{syslogSizeBuffer, 0, 0, syslogBuffer},
		{100, 0, 0, errno(unix.EINVAL)}, // the kernel's answer
	} {
		got := tr.do(order{Nr: unix.SYS_SYSLOG, Args: [6]uint64{c.action, c.addr, c.length}}).Value
		if got != c.want {
			t.Errorf("syslog(%d, %#x, %d) = %d, want %d", c.action, c.addr, c.length, got, c.want)
		}
	}
}

// read is what a handler got from the memory of a caller.
type read struct {
	text string
	n    int
	err  error
}

func TestMemoryOfTheCallerIsReadAsTheKernelDoes(t *testing.T) {
	reads := make(chan read, 2)
	tr := contain(t, map[string]Handler{callMount: handlerFunc(func(r *Request) Answer {
		text, err := r.ReadString(r.Args[0], 4096)
		reads <- read{text: text, err: err}
		n, err := r.ReadMemory(r.Args[0], make([]byte, 4096))
		reads <- read{n: n, err: err}
		err = r.WriteMemory(r.Args[1], []byte("written"))
		if err != nil {
			return failed(err)
		}
		return Return(0)
	})}) // with mount's arguments: where to read, where to write
	pass := func(from, to uint64) (outcome, read, read) {
		o := tr.do(order{Nr: unix.SYS_MOUNT, Args: [6]uint64{from, to}, Moved: 1, Show: 7})
		return o, <-reads, <-reads
	}
	// The tracee's arena holds nothing but what has been written.
	end := readOnly - 8
	for _, to := range []uint64{arena, end} {
		if o, _, _ := pass(arena+8192, to); o.Value != 0 || string(o.Memory) != "written" {
			t.Fatalf("WriteMemory: %d %q", o.Value, o.Memory)
		}
	}
	_, text, memory := pass(arena, arena+8192)
	if text.err != nil || text.text != "written" || memory.err != nil || memory.n != 4096 {
		t.Errorf("string and memory at a page's begin: %+v %+v", text, memory)
	}
	_, text, memory = pass(unmapped-7, arena+8192)
	if text.err != nil || text.text != "" || !errors.Is(memory.err, unix.EFAULT) || memory.n != 7 {
		t.Errorf("string and memory before an end: %+v %+v", text, memory)
	}
	_, text, memory = pass(end, arena+8192)
	if text.err != nil || text.text != "written" || memory.err != nil && memory.n == 0 {
		t.Errorf("string and memory over a border of pages: %+v %+v", text, memory)
	}
	for _, addr := range []uint64{0, unmapped, ^uint64(0)} {
		_, text, memory = pass(addr, arena+8192)
		if !errors.Is(text.err, unix.EFAULT) || !errors.Is(memory.err, unix.EFAULT) || memory.n != 0 {
			t.Errorf("string and memory at %#x: %+v %+v", addr, text, memory)
		}
	}
}

func TestStringWithoutAnEndIsTooLong(t *testing.T) {
	got := make(chan error, 1)
	tr := contain(t, map[string]Handler{callMount: handlerFunc(func(r *Request) Answer {
		full := []byte(strings.Repeat("x", 4096))
		if err := r.WriteMemory(r.Args[0], full); err != nil {
			return failed(err)
		}
		_, err := r.ReadString(r.Args[0], len(full))
		got <- err
		return Return(0)
	})})
	tr.do(order{Nr: unix.SYS_MOUNT, Args: [6]uint64{arena + 100}})
	if err := <-got; !errors.Is(err, unix.ENAMETOOLONG) {
		t.Errorf("ReadString: %v", err)
	}
}
