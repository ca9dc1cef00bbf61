//go:build !amd64

package main

import "golang.org/x/sys/unix"

// mapLow is nothing where there is no other ABI to call.
const mapLow = 0

// iopl is x86's.
func iopl() error { return unix.ENOSYS }

// int80 is amd64's.
func int80(_, _, _, _, _, _, _ uint32) int32 { return -int32(unix.ENOSYS) }
