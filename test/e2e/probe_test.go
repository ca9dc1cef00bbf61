//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// probeName is the name under which this program is in the image. There it tries
// what a hostile container would, and prints a line an attempt: its name and the
// kernel's answer, "ALLOWED" for none.
const probeName = "probe"

func probe(args []string) {
	switch args[0] {
	case "host":
		for _, a := range hostAttacks {
			fmt.Println(a.name, answer(a.attack()))
		}
	case "ping":
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, unix.IPPROTO_ICMP)
		fmt.Println("socket", answer(err))
		unix.Close(fd)
	case "pressure":
		probePressure()
	case "sysinfo":
		probeSysinfo()
	case "sysinfo-again-and-again":
		probeManySysinfo()
	case "cpus":
		probeCPUs()
	case "arrival":
		probeArrival(args[1], args[2])
	case "sockets":
		for _, a := range socketAttacks {
			fmt.Println(a.name, answer(a.attack()))
		}
	case "readonly":
		for _, a := range readOnlyAttacks {
			fmt.Println(a.name, answer(a.attack(args[1])))
		}
	}
}

const allowed = "ALLOWED"

func answer(err error) string {
	var errno unix.Errno
	switch {
	case err == nil:
		return allowed
	case errors.As(err, &errno):
		return unix.ErrnoName(errno)
	}
	return err.Error()
}

// probeIn runs a probe in a container and returns the answers. Every attempt must
// have been refused.
func everyAttackRefused(t *testing.T, r result) {
	t.Helper()
	lines := strings.Split(r.out(t), "\n")
	if len(lines) < 4 {
		t.Fatalf("the probe tried too little: %v", r)
	}
	for _, line := range lines {
		name, answer, _ := strings.Cut(line, " ")
		switch answer {
		case "EPERM", "EACCES", "EROFS", "EINVAL":
		case "ENOENT", "ENOSYS", "ENODEV": // this kernel doesn't have it
			t.Logf("%s: %s", name, answer)
		default:
			t.Errorf("%s: got %s, want a refusal", name, answer)
		}
	}
}

// hostAttacks reach for the kernel and the host. None of them would do harm.
var hostAttacks = []struct {
	name   string
	attack func() error
}{
	{"mknod-disk", func() error { return unix.Mknod("/tmp/disk", unix.S_IFBLK|0o600, int(unix.Mkdev(254, 0))) }},
	{"open-disk-of-image", func() error { return open("/opt/disk", unix.O_RDONLY) }},
	{"open-disk-after-remount", func() error {
		if err := unix.Mount("", "/", "", unix.MS_REMOUNT|unix.MS_BIND, ""); err != nil {
			return err
		}
		return open("/opt/disk", unix.O_RDONLY)
	}},
	{"bpf", func() error {
		attr := [16]byte{} // BPF_MAP_GET_NEXT_ID
		err := call(unix.SYS_BPF, 12, uintptr(unsafe.Pointer(&attr)), uintptr(len(attr)))
		if errors.Is(err, unix.ENOENT) {
			return nil // allowed, but there is no map
		}
		return err
	}},
	{"load-module", func() error { return ignore(unix.InitModule([]byte("no module"), ""), unix.ENOEXEC) }},
	{"set-time", func() error {
		var now unix.Timeval
		if err := unix.Gettimeofday(&now); err != nil {
			return err
		}
		return unix.Settimeofday(&now)
	}},
	{"swapoff", func() error { return call(unix.SYS_SWAPOFF, uintptr(unsafe.Pointer(&[]byte("/none\x00")[0])), 0, 0) }},
	{"acct", func() error { return ignore(unix.Acct("/none"), unix.ENOENT) }},
	{"core-pattern", func() error { return open("/proc/sys/kernel/core_pattern", unix.O_WRONLY) }},
	{"modprobe", func() error { return open("/proc/sys/kernel/modprobe", unix.O_WRONLY) }},
	{"overcommit", func() error { return open("/proc/sys/vm/overcommit_memory", unix.O_WRONLY) }},
	{"sysrq", func() error { return open("/proc/sysrq-trigger", unix.O_WRONLY) }},
	{"uevent-helper", func() error { return open("/sys/kernel/uevent_helper", unix.O_WRONLY) }},
	{"kcore", func() error { return readable("/proc/kcore") }},
	{"keys-of-others", func() error { return readable("/proc/keys") }},
	{"release-agent", releaseAgent},
}

// releaseAgent mounts a cgroup hierarchy and opens the file whose content runs as
// the host's root.
func releaseAgent() error {
	dir := "/tmp/cgroup"
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := unix.Mount("cgroup", dir, "cgroup", 0, "pids"); err != nil {
		return err
	}
	return open(filepath.Join(dir, "release_agent"), unix.O_WRONLY)
}

// readOnlyAttacks try to write to a directory that was mounted read-only.
var readOnlyAttacks = []struct {
	name   string
	attack func(dir string) error
}{
	{"write", write},
	{"remount", func(dir string) error {
		return errors.Join(unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_BIND, ""), write(dir))
	}},
	{"remount-superblock", func(dir string) error {
		return errors.Join(unix.Mount("", dir, "", unix.MS_REMOUNT, ""), write(dir))
	}},
	{"mount-setattr", func(dir string) error {
		err := unix.MountSetattr(unix.AT_FDCWD, dir, 0, &unix.MountAttr{Attr_clr: unix.MOUNT_ATTR_RDONLY})
		return errors.Join(err, write(dir))
	}},
	{"bind-elsewhere", func(dir string) error {
		other := "/tmp/other"
		if err := os.MkdirAll(other, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(dir, other, "", unix.MS_BIND, ""); err != nil {
			return err
		}
		return errors.Join(unix.Mount("", other, "", unix.MS_REMOUNT|unix.MS_BIND, ""), write(other))
	}},
	{"detached-copy", func(dir string) error {
		fd, err := unix.OpenTree(unix.AT_FDCWD, dir, unix.OPEN_TREE_CLONE)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		if err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH, &unix.MountAttr{Attr_clr: unix.MOUNT_ATTR_RDONLY}); err != nil {
			return err
		}
		f, err := unix.Openat(fd, "written", unix.O_CREAT|unix.O_WRONLY, 0o600)
		if err == nil {
			unix.Close(f)
		}
		return err
	}},
}

func write(dir string) error { return os.WriteFile(filepath.Join(dir, "written"), nil, 0o600) }

// open only opens: nothing is written.
func open(path string, flags int) error {
	fd, err := unix.Open(path, flags|unix.O_APPEND|unix.O_CLOEXEC, 0)
	if err == nil {
		unix.Close(fd)
	}
	return err
}

// readable refuses a file that is there but empty, which is how files are hidden.
func readable(path string) error {
	data := make([]byte, 16)
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if n, err := f.Read(data); n == 0 || err != nil {
		return unix.EACCES
	}
	return nil
}

func call(number uintptr, a, b, c uintptr) error {
	if _, _, errno := unix.Syscall(number, a, b, c); errno != 0 {
		return errno
	}
	return nil
}

// ignore takes an errno that only a permitted call returns for a success.
func ignore(err error, errno unix.Errno) error {
	if errors.Is(err, errno) {
		return nil
	}
	return err
}

// probePressure asks to be told of CPU pressure, and makes some.
func probePressure() {
	fd, err := unix.Open("/proc/pressure/cpu", unix.O_RDWR, 0)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	write := func(text string) error { _, err := unix.Write(fd, []byte(text)); return err }
	fmt.Println("no-trigger", answer(write("some 1")))
	fmt.Println("privileged-window", answer(write("some 100000 1000000")))
	fmt.Println("trigger", answer(write("some 100000 2000000")))
	fmt.Println("second-trigger", answer(write("some 100000 2000000")))
	for range 4 {
		go func() {
			for n := 1; n != 0; n++ { // busy until the program ends
			}
		}()
	}
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLPRI}}
	n, err := 0, error(unix.EINTR)
	for errors.Is(err, unix.EINTR) { // the runtime interrupts its threads
		n, err = unix.Poll(fds, 60_000)
	}
	if err == nil && (n != 1 || fds[0].Revents != unix.POLLPRI) {
		err = fmt.Errorf("%d events, %#x", n, fds[0].Revents)
	}
	fmt.Println("event", answer(err))
}
