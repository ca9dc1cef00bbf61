package fs

import (
	"math"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

const (
	stack64 = " 0x7ffe1b7345a8 0x7f2e04a462ad\n"
	stack32 = " 0xff8b45a8 0xf7ed4579\n"
)

// fakeTask makes a /proc with task 42, which has descriptor 3 open at offset 700.
func fakeTask(t *testing.T, call string) (proc string) {
	t.Helper()
	proc = t.TempDir()
	for name, text := range map[string]string{
		"syscall":  call,
		"fdinfo/3": "pos:\t700\nflags:\t0100000\nmnt_id:\t30\nino:\t77\n",
		"fdinfo/4": "pos:\t-1\nflags:\t0100000\n",
		"fdinfo/5": "flags:\t0100000\n",
	} {
		file := filepath.Join(proc, "42", name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return proc
}

func TestCallerAt(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("has the numbers of amd64")
	}
	for name, tt := range map[string]struct {
		call   string
		kind   callKind
		offset int64
	}{
		"read":                      {"0 0x3 0x7f2e048ca000 0x20000 0x0 0x0 0x0" + stack64, callRead, 700},
		"readv":                     {"19 0x3 0x7f2e048ca000 0x2 0x0 0x0 0x0" + stack64, callRead, 700},
		"garbage above the fd":      {"0 0xdeadbeef00000003 0x0 0x1 0x0 0x0 0x0" + stack64, callRead, 700},
		"pread64":                   {"17 0x3 0x7f2e048ca000 0x200 0x1ff 0x0 0x0" + stack64, callRead, 511},
		"preadv":                    {"295 0x3 0x7f2e048ca000 0x1 0x200 0xffffffff 0x0" + stack64, callRead, 512},
		"preadv2":                   {"327 0x3 0x7f2e048ca000 0x1 0x200 0x0 0x0" + stack64, callRead, 512},
		"preadv2 at the position":   {"327 0x3 0x7f2e048ca000 0x1 0xffffffffffffffff 0x0 0x0" + stack64, callRead, 700},
		"negative offset":           {"17 0x3 0x0 0x1 0xfffffffffffffffe 0x0 0x0" + stack64, callUnknown, 0},
		"far offset":                {"17 0x3 0x0 0x1 0x7fffffffffffffff 0x0 0x0" + stack64, callRead, math.MaxInt64},
		"descriptor that is gone":   {"0 0x9 0x0 0x1 0x0 0x0 0x0" + stack64, callUnknown, 0},
		"descriptor at nowhere":     {"0 0x4 0x0 0x1 0x0 0x0 0x0" + stack64, callUnknown, 0},
		"descriptor of other form":  {"0 0x5 0x0 0x1 0x0 0x0 0x0" + stack64, callUnknown, 0},
		"sendfile":                  {"40 0x1 0x3 0x0 0x1000000 0x0 0x0" + stack64, callSplice, 0},
		"splice":                    {"275 0x3 0x0 0x1 0x0 0x1000 0x0" + stack64, callSplice, 0},
		"copy_file_range":           {"326 0x3 0x0 0x1 0x0 0x1000 0x0" + stack64, callSplice, 0},
		"posix_fadvise":             {"221 0x3 0x0 0x0 0x3 0x0 0x8" + stack64, callAhead, 0},
		"i386 fadvise64_64":         {"272 0x3 0x0 0x0 0x0 0x0 0x3" + stack32, callAhead, 0},
		"another call":              {"426 0x3 0x1 0x1 0x1 0x0 0x8" + stack64, callOther, 0},
		"fault":                     {"-1" + stack64, callFault, 0},
		"i386 read":                 {"3 0x3 0x8048000 0x200 0x0 0x0 0x0" + stack32, callRead, 700},
		"i386 pread64":              {"180 0x3 0x8048000 0x200 0xfffffff0 0x1 0x0" + stack32, callRead, 0x1fffffff0},
		"i386 preadv2, at position": {"378 0x3 0x8048000 0x1 0xffffffff 0xffffffff 0x0" + stack32, callRead, 700},
		"i386 sendfile64":           {"239 0x1 0x3 0x0 0x1000 0x0 0x0" + stack32, callSplice, 0},
		"i386 number, 64-bit task":  {"3 0x3 0x0 0x0 0x0 0x0 0x0" + stack64, callOther, 0},
		"kernel thread":             {"0 0x0 0x0 0x0 0x0 0x0 0x0 0x0 0x0\n", callUnknown, 0},
		"worker of io_uring":        {"0 0x3 0x7f2e048ca000 0x20000 0x0 0x0 0x0 0x0 0x0\n", callUnknown, 0},
		"always running":            {"running\n", callUnknown, 0},
		"empty":                     {"", callUnknown, 0},
	} {
		t.Run(name, func(t *testing.T) {
			got := callerAt(fakeTask(t, tt.call), 42, briefly)
			if got.kind != tt.kind || got.offset != tt.offset {
				t.Errorf("got %+v, want %d at %d", got, tt.kind, tt.offset)
			}
		})
	}
	if got := callerAt(fakeTask(t, "-1"+stack64), 43, briefly); got.kind != callUnknown {
		t.Errorf("task that is gone: got %+v, want %d", got, callUnknown)
	}
}

func TestCallerReadsHowMuch(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("has the numbers of amd64")
	}
	for call, want := range map[string]int64{
		"0 0x3 0x7f2e048ca000 0x20000 0x0 0x0 0x0" + stack64:            0x20000,
		"17 0x3 0x7f2e048ca000 0x200 0x1ff 0x0 0x0" + stack64:           0x200,
		"3 0x3 0x8048000 0x200 0x0 0x0 0x0" + stack32:                   0x200,
		"19 0x3 0x7f2e048ca000 0x2 0x0 0x0 0x0" + stack64:               -1,
		"0 0x3 0x7f2e048ca000 0xffffffffffffffff 0x0 0x0 0x0" + stack64: -1,
	} {
		if got := callerAt(fakeTask(t, call), 42, briefly); got.kind != callRead || got.length != want {
			t.Errorf("%q: got %+v, want a length of %d", call, got, want)
		}
	}
}

// Who reads a file needs none of its pages, unless for a mapping that another one is read to.
func TestCallTouchesMapping(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("has the numbers of amd64")
	}
	const inode = 77 // that of descriptor 3
	for call, want := range map[string]struct{ it, another bool }{
		"0 0x3 0x7f2e048ca000 0x200 0x0 0x0 0x0" + stack64:    {false, true},
		"17 0x3 0x7f2e048ca000 0x200 0x1ff 0x0 0x0" + stack64: {false, true},
		"17 0x9 0x7f2e048ca000 0x200 0x1ff 0x0 0x0" + stack64: {false, false}, // not known
		"40 0x1 0x3 0x0 0x1000000 0x0 0x0" + stack64:          {false, false},
		"221 0x3 0x0 0x0 0x3 0x0 0x8" + stack64:               {false, false},
		"1 0x1 0x7f2e048ca000 0x200 0x0 0x0 0x0" + stack64:    {true, true},
		"-1" + stack64: {true, true},
		"running\n":    {false, false},
	} {
		got := callerAt(fakeTask(t, call), 42, briefly)
		if got.touches(inode) != want.it || got.touches(inode+1) != want.another {
			t.Errorf("%q: got %v, %v, want %v", call, got.touches(inode), got.touches(inode+1), want)
		}
	}
}

func TestReadCallsOf32BitTasksOnArm(t *testing.T) {
	args := [6]uint64{3, 0, 0, 0xdead, 0x10, 0x2}
	if got, want := readCalls32["arm64"][180].offset(&args), int64(0x200000010); got != want {
		t.Errorf("pread64 is at %#x, want %#x", got, want)
	}
	args[3] = 0x30
	if got, want := readCalls32["arm64"][361].offset(&args), int64(0x1000000030); got != want {
		t.Errorf("preadv is at %#x, want %#x", got, want)
	}
}

func FuzzParseState(f *testing.F) {
	for _, text := range []string{
		"0 0x3 0x7f2e048ca000 0x20000 0x0 0x0 0x0" + stack64, "-1" + stack64, "3 0x3 0x8048000 0x200 0x0 0x0 0x0" + stack32,
		"327 0x3 0x7f2e048ca000 0x1 0xffffffffffffffff 0x0 0x0" + stack64, "running\n", "", "-1 0x0 0x0\n",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, ok := parseState(text)
		if ok && s.sp == 0 {
			t.Errorf("%q: a task without a stack", text)
		}
		if call := s.call(); call.kind == callRead && call.high != 0 && s.sp >= 1<<32 {
			t.Errorf("%q: offset in halves", text)
		}
	})
}

func FuzzParseDescriptor(f *testing.F) {
	for _, text := range []string{"pos:\t700\nflags:\t0100000\n", "pos:\t-1\n", "pos:", "pos:\t1", "flags:\t0\nino:\t77\n"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if d := parseDescriptor(text); d.offset < -1 {
			t.Errorf("%q: got %+v", text, d)
		}
	})
}
