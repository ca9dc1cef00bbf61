//go:build e2e

package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"

	"cloister/internal/sys/systest"
)

// probeSysinfo prints what sysinfo(2) says: memory and swap in KiB, and seconds since boot.
func probeSysinfo() {
	var s unix.Sysinfo_t
	if err := unix.Sysinfo(&s); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	unit := uint64(s.Unit)
	fmt.Println(s.Totalram*unit>>10, s.Totalswap*unit>>10, s.Uptime)
}

// probeManySysinfo calls it until the input ends, and prints "begun" and whether it has, or the first
// answer that is another than before.
func probeManySysinfo() {
	var first, s unix.Sysinfo_t
	if err := unix.Sysinfo(&first); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("begun")
	ended := make(chan error)
	go func() { _, err := io.Copy(io.Discard, os.Stdin); ended <- err }()
	for n := 0; ; n++ {
		if err := unix.Sysinfo(&s); err != nil || s.Totalram != first.Totalram {
			fmt.Println("call", n, s.Totalram, err)
			os.Exit(1)
		}
		select {
		case err := <-ended:
			fmt.Println(err == nil)
			return
		default:
		}
	}
}

// probeCPUs prints how many CPUs the program may run on.
func probeCPUs() {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(set.Count())
}

// socketAttacks reach for the hypervisor and for the kernel's ciphers. The kernel takes the
// lower half of the first argument alone.
var socketAttacks = []struct {
	name   string
	attack func() error
}{
	{"vsock", func() error { return socket(unix.AF_VSOCK, unix.SOCK_STREAM) }},
	{"vsock-high", func() error { return socket(1<<32|unix.AF_VSOCK, unix.SOCK_STREAM) }},
	{"vsock-high-type", func() error { return socket(unix.AF_VSOCK, 1<<32|unix.SOCK_STREAM) }},
	{"vsock-negative-type", func() error { return socket(unix.AF_VSOCK, ^uintptr(0)&^(1<<32-1)|unix.SOCK_STREAM) }},
	{"alg", func() error { return socket(unix.AF_ALG, unix.SOCK_SEQPACKET) }},
	{"alg-high", func() error { return socket(1<<40|unix.AF_ALG, unix.SOCK_SEQPACKET) }},
	{"alg-high-type", func() error { return socket(unix.AF_ALG, 1<<40|unix.SOCK_SEQPACKET) }},
}

func socket(family, kind uintptr) error {
	fd, _, errno := unix.Syscall(unix.SYS_SOCKET, family, kind, 0)
	if errno != 0 {
		return errno
	}
	return unix.Close(int(fd))
}

// probeArrival sends a listener as a runtime does, the second half of the message after a
// line of input, and prints the memory that sysinfo(2) shows.
func probeArrival(socket, key string) {
	nr := map[bool]systest.Trap{
		true:  {Arch: unix.AUDIT_ARCH_X86_64, Nr: unix.SYS_SYSINFO},
		false: {Arch: unix.AUDIT_ARCH_AARCH64, Nr: unix.SYS_SYSINFO},
	}[unix.SYS_SYSINFO == 99]
	listener, err := systest.InstallFilter(nr)
	check := func(err error) {
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	check(err)
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Net: "unix", Name: socket})
	check(err)
	_, _, err = conn.WriteMsgUnix([]byte(`{"ociVersion":"1.0.2","fds":["seccompFd"],"metadata":`), unix.UnixRights(listener.Int()), nil)
	check(err)
	check(listener.Close())
	fmt.Println("half")
	_, err = bufio.NewReader(os.Stdin).ReadString('\n')
	check(err)
	_, err = fmt.Fprintf(conn, "%q}", key)
	check(err)
	var s unix.Sysinfo_t
	check(unix.Sysinfo(&s))
	fmt.Println(s.Totalram >> 10)
}
