package main

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// abi is a way to call the kernel.
type abi int

const (
	native abi = iota
	i386
	x32
	abis
)

// number is a call's, in the native ABI and that of i386. That of x32 is the native one
// with a bit.
type number struct{ native, i386 uint32 }

const x32Bit = 1 << 30

var (
	callMount       = number{unix.SYS_MOUNT, 21}
	callUmount      = number{unix.SYS_UMOUNT2, 52}
	callSysinfo     = number{unix.SYS_SYSINFO, 116}
	callGetaffinity = number{unix.SYS_SCHED_GETAFFINITY, 242}
	callSyslog      = number{unix.SYS_SYSLOG, 103}
	callSocket      = number{unix.SYS_SOCKET, 359}
	callSocketcall  = number{0, 102} // i386's alone
)

// maxErrno is the kernel's MAX_ERRNO.
const maxErrno = 4095

// call makes a call.
func (a abi) call(n number, args ...uint64) (uint64, error) {
	var r [6]uint64
	copy(r[:], args)
	if a == i386 {
		v := callI386(uintptr(n.i386), uintptr(r[0]), uintptr(r[1]), uintptr(r[2]), uintptr(r[3]), uintptr(r[4]))
		if errno := -v; errno > 0 && errno <= maxErrno {
			return 0, unix.Errno(errno)
		}
		return uint64(uint32(v)), nil
	}
	nr := uintptr(n.native)
	if a == x32 {
		nr |= x32Bit
	}
	v, _, errno := unix.Syscall6(nr, uintptr(r[0]), uintptr(r[1]), uintptr(r[2]), uintptr(r[3]), uintptr(r[4]), uintptr(r[5]))
	if errno != 0 {
		return 0, errno
	}
	return uint64(v), nil
}

// memory is below 4 GiB, where every ABI can point to.
type memory []byte

// lowMemory maps pages.
func lowMemory(size int) (memory, error) {
	flags := unix.MAP_PRIVATE | unix.MAP_ANONYMOUS | mapLow
	p, err := unix.MmapPtr(-1, 0, nil, uintptr(size), unix.PROT_READ|unix.PROT_WRITE, flags)
	if err != nil {
		return nil, fmt.Errorf("mmap: %w", err)
	}
	return unsafe.Slice((*byte)(p), size), nil
}

func (m memory) address() uint64 { return uint64(uintptr(unsafe.Pointer(&m[0]))) }

// text puts a string into the memory at an offset and returns its address; 0 for "".
func (m memory) text(at int, s string) uint64 {
	if s == "" {
		return 0
	}
	copy(m[at:], s)
	m[at+len(s)] = 0
	return m.address() + uint64(at)
}

// mount is mount(2) in an ABI.
func (a abi) mount(source, target, fstype string, flags uintptr, data string) error {
	const size = unix.PathMax
	m, err := lowMemory(4 * size)
	if err != nil {
		return err
	}
	defer func() { _ = unix.MunmapPtr(unsafe.Pointer(&m[0]), uintptr(len(m))) }()
	_, err = a.call(callMount, m.text(0, source), m.text(size, target), m.text(2*size, fstype), uint64(flags), m.text(3*size, data))
	return err
}

func (a abi) umount(target string, flags int) error {
	m, err := lowMemory(unix.PathMax)
	if err != nil {
		return err
	}
	defer func() { _ = unix.MunmapPtr(unsafe.Pointer(&m[0]), uintptr(len(m))) }()
	_, err = a.call(callUmount, m.text(0, target), uint64(flags))
	return err
}
