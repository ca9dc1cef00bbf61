//go:build !amd64

package main

import "golang.org/x/sys/unix"

// mapLow is nothing where there is no other ABI to call.
const mapLow = 0

// iopl is x86's.
func iopl() error { return unix.ENOSYS }

// callI386 is amd64's.
func callI386(_, _, _, _, _, _ uintptr) uintptr { return ^uintptr(unix.ENOSYS) + 1 }
