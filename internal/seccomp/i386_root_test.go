//go:build root && amd64

package seccomp

import "cloister/internal/sys/systest/int80"

const haveI386 = true

func callI386(nr uint64, args [6]uint64) int64 {
	return int64(int80.Call(uintptr(nr), uintptr(args[0]), uintptr(args[1]), uintptr(args[2]), uintptr(args[3]), uintptr(args[4])))
}
