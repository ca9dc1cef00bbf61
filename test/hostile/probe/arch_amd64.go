package main

import (
	"golang.org/x/sys/unix"

	"cloister/internal/sys/systest/int80"
)

// mapLow asks mmap for memory below 2 GiB.
const mapLow = unix.MAP_32BIT

// iopl asks for the machine's I/O ports.
func iopl() error { return raw(unix.SYS_IOPL, 3, 0, 0) }

// callI386 makes a call of the i386 ABI, from a 64-bit program. The kernel looks at 32 bits of
// each argument, so pointers must be below 4 GiB.
func callI386(nr, a, b, c, d, e uintptr) uintptr { return int80.Call(nr, a, b, c, d, e) }
