package seccomp

import "golang.org/x/sys/unix"

// ABI is a convention by which programs call the kernel.
type ABI uint8

const (
	AMD64 ABI = iota + 1
	X32       // 32-bit pointers in 64-bit registers; the memory layouts here are AMD64's
	I386
	ARM64
	ARM
)

func (a ABI) String() string {
	switch a {
	case AMD64:
		return "amd64"
	case X32:
		return "x32"
	case I386:
		return "i386"
	case ARM64:
		return "arm64"
	case ARM:
		return "arm"
	}
	return "unknown"
}

// Compat tells that longs and pointers have 32 bits, in registers and in memory.
func (a ABI) Compat() bool { return a == I386 || a == ARM }

// x32Bit marks the numbers of x32, which shares its AUDIT_ARCH with amd64
// (__X32_SYSCALL_BIT).
const x32Bit = 0x40000000

// The calls that the agent can be asked for, by the kernel's names.
const (
	callMount       = "mount"
	callUmount      = "umount" // umount2 without flags
	callUmount2     = "umount2"
	callSysinfo     = "sysinfo"
	callGetaffinity = "sched_getaffinity"
	callSyslog      = "syslog"
	callSocketcall  = "socketcall"
)

// entry is how a call arrives.
type entry struct {
	arch uint32
	nr   int32
}

// call is what an entry means.
type call struct {
	name string
	abi  ABI
}

// calls has every way into the kernel by which a program reaches one of the calls.
// Numbers are those of the kernel's syscall*.tbl.
var calls = map[entry]call{
	{unix.AUDIT_ARCH_X86_64, 99}:  {callSysinfo, AMD64},
	{unix.AUDIT_ARCH_X86_64, 103}: {callSyslog, AMD64},
	{unix.AUDIT_ARCH_X86_64, 165}: {callMount, AMD64},
	{unix.AUDIT_ARCH_X86_64, 166}: {callUmount2, AMD64},
	{unix.AUDIT_ARCH_X86_64, 204}: {callGetaffinity, AMD64},

	{unix.AUDIT_ARCH_X86_64, x32Bit | 99}:  {callSysinfo, X32},
	{unix.AUDIT_ARCH_X86_64, x32Bit | 103}: {callSyslog, X32},
	{unix.AUDIT_ARCH_X86_64, x32Bit | 165}: {callMount, X32},
	{unix.AUDIT_ARCH_X86_64, x32Bit | 166}: {callUmount2, X32},
	{unix.AUDIT_ARCH_X86_64, x32Bit | 204}: {callGetaffinity, X32},

	{unix.AUDIT_ARCH_I386, 21}:  {callMount, I386},
	{unix.AUDIT_ARCH_I386, 22}:  {callUmount, I386},
	{unix.AUDIT_ARCH_I386, 52}:  {callUmount2, I386},
	{unix.AUDIT_ARCH_I386, 102}: {callSocketcall, I386},
	{unix.AUDIT_ARCH_I386, 103}: {callSyslog, I386},
	{unix.AUDIT_ARCH_I386, 116}: {callSysinfo, I386},
	{unix.AUDIT_ARCH_I386, 242}: {callGetaffinity, I386},

	{unix.AUDIT_ARCH_AARCH64, 39}:  {callUmount2, ARM64},
	{unix.AUDIT_ARCH_AARCH64, 40}:  {callMount, ARM64},
	{unix.AUDIT_ARCH_AARCH64, 116}: {callSyslog, ARM64},
	{unix.AUDIT_ARCH_AARCH64, 123}: {callGetaffinity, ARM64},
	{unix.AUDIT_ARCH_AARCH64, 179}: {callSysinfo, ARM64},

	{unix.AUDIT_ARCH_ARM, 21}:  {callMount, ARM},
	{unix.AUDIT_ARCH_ARM, 52}:  {callUmount2, ARM},
	{unix.AUDIT_ARCH_ARM, 103}: {callSyslog, ARM},
	{unix.AUDIT_ARCH_ARM, 116}: {callSysinfo, ARM},
	{unix.AUDIT_ARCH_ARM, 242}: {callGetaffinity, ARM},
}

// decode returns what a call is, with its arguments as the kernel takes them: of a
// 32-bit call it sees only the lower halves, whatever a 64-bit program has left in
// the registers.
func decode(arch uint32, nr int32, args [6]uint64) (call, [6]uint64, bool) {
	c, ok := calls[entry{arch, nr}]
	if c.abi.Compat() {
		for i := range args {
			args[i] = uint64(uint32(args[i]))
		}
	}
	return c, args, ok
}
