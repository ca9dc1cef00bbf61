package seccomp

import "golang.org/x/sys/unix"

// nativeArch is that of the test program itself.
const nativeArch = unix.AUDIT_ARCH_AARCH64
