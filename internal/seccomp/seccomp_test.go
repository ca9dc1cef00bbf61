package seccomp

import (
	"encoding/binary"
	"math"
	"os"
	"strings"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"cloister/emul"
	"cloister/internal/sys"
)

func TestEveryABIHasEveryCall(t *testing.T) {
	found := map[call]int{}
	for _, c := range calls {
		found[c]++
	}
	for abi := AMD64; abi <= ARM; abi++ {
		for _, name := range []string{callMount, callSysinfo, callGetaffinity, callSyslog} {
			if n := found[call{name, abi}]; n != 1 {
				t.Errorf("%s has %d numbers for %s, want 1", abi, n, name)
			}
		}
	}
	for nr, want := range map[int32]string{
		unix.SYS_MOUNT: callMount, unix.SYS_SYSINFO: callSysinfo,
		unix.SYS_SCHED_GETAFFINITY: callGetaffinity, unix.SYS_SYSLOG: callSyslog,
	} {
		if c, _, ok := decode(nativeArch, nr, [6]uint64{}); !ok || c.name != want || c.abi.Compat() {
			t.Errorf("number %d of this machine is %+v, want %s", nr, c, want)
		}
	}
}

func TestArgumentsOf32BitCallsAreCut(t *testing.T) {
	args := [6]uint64{1<<32 | 1, 2, 3, 4, 5, math.MaxUint64}
	if _, got, _ := decode(unix.AUDIT_ARCH_I386, 116, args); got != [6]uint64{1, 2, 3, 4, 5, math.MaxUint32} {
		t.Errorf("i386: %x", got)
	}
	for _, nr := range []int32{99, x32Bit | 99} {
		if _, got, _ := decode(unix.AUDIT_ARCH_X86_64, nr, args); got != args {
			t.Errorf("%x: %x", nr, got)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(uint32(unix.AUDIT_ARCH_X86_64), int32(99), uint64(0))
	f.Add(uint32(unix.AUDIT_ARCH_I386), int32(116), uint64(math.MaxUint64))
	f.Fuzz(func(t *testing.T, arch uint32, nr int32, arg uint64) {
		c, args, ok := decode(arch, nr, [6]uint64{arg, arg, arg, arg, arg, arg})
		if !ok && c != (call{}) {
			t.Errorf("unknown call is %+v", c)
		}
		if c.abi.Compat() && args[5]>>32 != 0 {
			t.Errorf("%+v has argument %x", c, args[5])
		}
	})
}

// testSysinfo is small enough for 32 bits.
var testSysinfo = emul.Sysinfo{
	Uptime: 1, Loads: [3]uint64{2, 3, 4}, TotalRAM: 5, FreeRAM: 6, SharedRAM: 7, BufferRAM: 8,
	TotalSwap: 9, FreeSwap: 10, Procs: 11,
}

func TestSysinfoLayoutIsTheKernels(t *testing.T) {
	b := make([]byte, sysinfoSize)
	putSysinfo(b, &testSysinfo)
	if unsafe.Sizeof(unix.Sysinfo_t{}) != sysinfoSize { // that of 64-bit machines
		t.Fatalf("the kernel's has %d bytes", unsafe.Sizeof(unix.Sysinfo_t{}))
	}
	got := *(*unix.Sysinfo_t)(unsafe.Pointer(&b[0]))
	want := unix.Sysinfo_t{
		Uptime: 1, Loads: [3]uint64{2, 3, 4}, Totalram: 5, Freeram: 6, Sharedram: 7, Bufferram: 8,
		Totalswap: 9, Freeswap: 10, Procs: 11, Unit: 1,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// compatSysinfo is struct compat_sysinfo of kernel/sys.c.
type compatSysinfo struct {
	Uptime                                                       int32
	Loads                                                        [3]uint32
	Totalram, Freeram, Sharedram, Bufferram, Totalswap, Freeswap uint32
	Procs, Pad                                                   uint16
	Totalhigh, Freehigh, Unit                                    uint32
	F                                                            [8]byte
}

func TestCompatSysinfoCountsInPagesWhatDoesNotFit(t *testing.T) {
	page := uint64(os.Getpagesize())
	for _, c := range []struct {
		name string
		in   emul.Sysinfo
		want compatSysinfo
	}{
		{"small", testSysinfo, compatSysinfo{
			Uptime: 1, Loads: [3]uint32{2, 3, 4}, Totalram: 5, Freeram: 6, Sharedram: 7, Bufferram: 8,
			Totalswap: 9, Freeswap: 10, Procs: 11, Unit: 1,
		}},
		{"just fits", emul.Sysinfo{TotalRAM: math.MaxUint32}, compatSysinfo{Totalram: math.MaxUint32, Unit: 1}},
		{"RAM", emul.Sysinfo{TotalRAM: 1 << 32, FreeRAM: page, SharedRAM: page - 1}, compatSysinfo{
			Totalram: uint32((1 << 32) / page), Freeram: 1, Unit: uint32(page),
		}},
		{"swap", emul.Sysinfo{TotalRAM: 3 * page, TotalSwap: 1 << 32}, compatSysinfo{
			Totalram: 3, Totalswap: uint32((1 << 32) / page), Unit: uint32(page),
		}},
		{"more than fits", emul.Sysinfo{
			Uptime: math.MaxInt64, Loads: [3]uint64{1 << 40}, TotalRAM: math.MaxUint64,
		}, compatSysinfo{
			Uptime: math.MaxInt32, Loads: [3]uint32{math.MaxUint32}, Totalram: math.MaxUint32, Unit: uint32(page),
		}},
	} {
		b := make([]byte, compatSysinfoSize)
		putCompatSysinfo(b, &c.in)
		var got compatSysinfo
		if n, err := binary.Decode(b, binary.NativeEndian, &got); err != nil || n != len(b) {
			t.Fatalf("%d bytes: %v", n, err)
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
	}
}

func TestMaskLengthsAreTheKernels(t *testing.T) {
	for _, c := range []struct {
		length, possible uint32
		abi              ABI
		want             bool
	}{
		{8, 64, AMD64, true},
		{8, 65, AMD64, false},
		{0, 1, AMD64, false},
		{4, 1, AMD64, false},
		{4, 1, X32, false},
		{4, 32, I386, true},
		{4, 33, ARM, false},
		{6, 1, I386, false},
		{1 << 29, 1, AMD64, false}, // the number of bits overflows
		{1<<29 + 8, 64, AMD64, true},
		{math.MaxUint32, 1, AMD64, false},
	} {
		if got := validMask(c.length, c.possible, c.abi); got != c.want {
			t.Errorf("%d bytes for %d CPUs by %s: %v", c.length, c.possible, c.abi, got)
		}
	}
}

func TestKeepFirst(t *testing.T) {
	for _, c := range []struct {
		mask, want []uint64
		n          int
	}{
		{[]uint64{0b10110, 1}, []uint64{0b10, 0}, 1},
		{[]uint64{0b10110, 1}, []uint64{0b10110, 0}, 3},
		{[]uint64{0b10110, 1}, []uint64{0b10110, 1}, 4},
		{[]uint64{0b10110, 1}, []uint64{0b10110, 1}, 400},
		{[]uint64{0, 1 << 63}, []uint64{0, 1 << 63}, 1},
	} {
		got := append([]uint64(nil), c.mask...)
		keepFirst(got, c.n)
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("first %d of %b: %s", c.n, c.mask, d)
		}
	}
}

func TestSetOfAStatus(t *testing.T) {
	for _, c := range []struct {
		status string
		want   uint64
		bad    bool
	}{
		{"Name:\tdmesg\nCapEff:\t0000000400000000\n", 1 << unix.CAP_SYSLOG, false},
		{"Name:\tdmesg\nCapPrm:\t0000000400000000\nCapEff:\t0000000000000001\nSeccomp:\t2\n", 1, false},
		{"Name:\tCapEff:\t0000000400000000\nCapEff:\t0\n", 0, false},
		{"Name:\tdmesg\nCapEff:\tx\n", 0, true},
		{"", 0, true},
	} {
		got, err := setOf([]byte(c.status), "CapEff")
		if got != c.want || (err != nil) != c.bad {
			t.Errorf("%q: %v, %v", c.status, got, err)
		}
	}
}

func FuzzSetOf(f *testing.F) {
	f.Add([]byte("Name:\tx\nCapEff:\t0000000400000000\n"))
	f.Fuzz(func(_ *testing.T, status []byte) { _, _ = setOf(status, "CapEff") })
}

func FuzzCutString(f *testing.F) {
	f.Add([]byte("proc\x00sysfs"))
	f.Add([]byte("proc"))
	f.Fuzz(func(t *testing.T, b []byte) {
		text, whole := cutString(b)
		if strings.ContainsRune(text, 0) || whole != strings.ContainsRune(string(b), 0) || !strings.HasPrefix(string(b), text) {
			t.Errorf("%q is %q, %v", b, text, whole)
		}
	})
}

func TestSyslogRefusesBadBuffers(t *testing.T) {
	for _, c := range []struct {
		addr   uint64
		length int32
		want   Answer
	}{
		{1, 1, Return(0)},
		{1, 0, Return(0)},
		{0, 1, Errno(unix.EINVAL)},
		{1, -1, Errno(unix.EINVAL)},
		{1 << 63, 1, Errno(unix.EFAULT)},
		{1 << 63, 0, Return(0)},
	} {
		if got := checkSyslogBuffer(c.addr, c.length); got != c.want {
			t.Errorf("%x, %d: %+v, want %+v", c.addr, c.length, got, c.want)
		}
	}
}

func TestAnswersInTheKernelsForm(t *testing.T) {
	for _, c := range []struct {
		answer Answer
		want   sys.NotificationResponse
	}{
		{Return(7), sys.NotificationResponse{ID: 1, Value: 7}},
		{Errno(unix.EFAULT), sys.NotificationResponse{ID: 1, Error: -14}},
		{Errno(0), sys.NotificationResponse{ID: 1}},
		{Continue(), sys.NotificationResponse{ID: 1, Flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE}},
		{Failed(unix.EPERM), sys.NotificationResponse{ID: 1, Error: -5}},
	} {
		if got := c.answer.response(1); got != c.want {
			t.Errorf("%+v: %+v", c.answer, got)
		}
	}
}
