//go:build root && !amd64

package seccomp

import "golang.org/x/sys/unix"

const haveI386 = false

func callI386(uint64, [6]uint64) int64 { return errno(unix.ENOSYS) }
