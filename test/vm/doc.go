// Package vm boots virtual machines to test programs on kernels other than the
// host's, without root: a kernel and packages of a Debian suite, an initramfs with
// busybox, an ext4 disk at /data, and the unified cgroup hierarchy alone.
//
// A Cache downloads what a guest is made of, a Guest describes one, and Boot turns
// it into a Machine that runs shell scripts. The processor is emulated, so that
// this works inside a virtual machine as well; it is some ten times slower than the
// host.
//
// The package knows nothing of what is tested. Its tests with the build tag vm test
// the whole program; two processors take ten minutes:
//
//	go test -tags vm ./test/vm
//
// They need qemu-system-x86_64, mkfs.ext4 and, the first time, apt-get and a network.
// A test without them is skipped, or fails if CLOISTER_TEST_STRICT is set. Also read
// from the environment: CLOISTER_BIN, the program to test instead of a new build;
// CLOISTER_VM_CACHE and CLOISTER_VM_MIRROR, see CacheEnv and MirrorEnv;
// CLOISTER_VM_ACCEL, qemu's accelerator.
package vm

import "errors"

// ErrMissing is wrapped by the error for something that the host doesn't have. Its
// text says what.
var ErrMissing = errors.New("is missing")
