package main

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"os"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Attacks are steps that reach for the kernel and the host. None of them does harm where
// it is allowed. Some then fail for another reason, which counts as allowed.
func init() {
	for name, attack := range map[string]func(a []string) error{
		"bpf":      func([]string) error { return but(bpfNextMap(), unix.ENOENT) },
		"perf":     perf,
		"syslog":   syslog,
		"acct":     func([]string) error { return but(unix.Acct("/none"), unix.ENOENT) },
		"swapon":   func([]string) error { return but(withText(unix.SYS_SWAPON, "/none"), unix.ENOENT) },
		"swapoff":  func([]string) error { return but(withText(unix.SYS_SWAPOFF, "/none"), unix.ENOENT) },
		"settime":  func([]string) error { return raw(unix.SYS_SETTIMEOFDAY, 0, 0, 0) },
		"insmod":   func([]string) error { return but(unix.InitModule([]byte("no module"), ""), unix.ENOEXEC) },
		"kexec":    func([]string) error { return raw(unix.SYS_KEXEC_LOAD, 0, 0, 0) },
		"iopl":     func([]string) error { return iopl() },
		"fsopen":   func(a []string) error { return closed(unix.Fsopen(a[0], unix.FSOPEN_CLOEXEC)) },
		"vsock":    func([]string) error { return closed(unix.Socket(unix.AF_VSOCK, unix.SOCK_STREAM, 0)) },
		"vsock386": vsock386,
		"addkey":   addKey,
		"findkey":  findKey,
		"rmkey":    removeKey,
		"handle":   handle,
	} {
		steps[name] = plain(func(_ *walker, a []string) error { return attack(a) })
	}
}

// but takes an errno that only a permitted call returns for a success.
func but(err error, errno unix.Errno) error {
	if errors.Is(err, errno) {
		return nil
	}
	return err
}

func raw(nr, a, b, c uintptr) error {
	if _, _, errno := unix.Syscall6(nr, a, b, c, 0, 0, 0); errno != 0 {
		return errno
	}
	return nil
}

func withText(nr uintptr, text string) error {
	p, err := unix.BytePtrFromString(text)
	if err != nil {
		return err
	}
	return raw(nr, uintptr(unsafe.Pointer(p)), 0, 0)
}

func closed(fd int, err error) error {
	if err == nil {
		unix.Close(fd)
	}
	return err
}

func bpfNextMap() error {
	const mapGetNextID = 12
	attr := [16]byte{}
	return raw(unix.SYS_BPF, mapGetNextID, uintptr(unsafe.Pointer(&attr)), uintptr(len(attr)))
}

// perf counts the whole system's context switches.
func perf([]string) error {
	attr := unix.PerfEventAttr{Type: unix.PERF_TYPE_SOFTWARE, Config: unix.PERF_COUNT_SW_CONTEXT_SWITCHES}
	attr.Size = uint32(unsafe.Sizeof(attr))
	return closed(unix.PerfEventOpen(&attr, -1, 0, -1, unix.PERF_FLAG_FD_CLOEXEC))
}

// syslog reads the kernel's messages, of which nothing may be seen.
func syslog(a []string) error {
	action, err := strconv.Atoi(a[0])
	if err != nil {
		return err
	}
	n, err := unix.Klogctl(action, make([]byte, 4096))
	if err == nil && n == 0 {
		return errors.New("empty")
	}
	return err
}

// vsock386 makes the socket as an i386 program: directly, or by socketcall, whose arguments
// no filter can see.
func vsock386(a []string) error {
	if len(a) > 0 && a[0] == "direct" {
		fd, err := i386.call(callSocket, unix.AF_VSOCK, unix.SOCK_STREAM)
		return closed(int(fd), err)
	}
	m, err := lowMemory(4096)
	if err != nil {
		return err
	}
	const socket = 1
	for i, v := range []uint32{unix.AF_VSOCK, unix.SOCK_STREAM, 0} {
		binary.LittleEndian.PutUint32(m[4*i:], v)
	}
	fd, err := i386.call(callSocketcall, socket, m.address())
	return closed(int(fd), err)
}

func addKey(a []string) error {
	_, err := unix.AddKey("user", a[0], []byte("secret"), unix.KEY_SPEC_USER_KEYRING)
	return err
}

func findKey(a []string) error {
	_, err := unix.KeyctlSearch(unix.KEY_SPEC_USER_KEYRING, "user", a[0], 0)
	return err
}

func removeKey(a []string) error {
	id, err := unix.KeyctlSearch(unix.KEY_SPEC_USER_KEYRING, "user", a[0], 0)
	if err != nil {
		return err
	}
	_, err = unix.KeyctlInt(unix.KEYCTL_UNLINK, id, unix.KEY_SPEC_USER_KEYRING, 0, 0)
	return err
}

// handle opens a file of the host by the handle that it has in its file system, below whose
// mount it is not.
func handle(a []string) error {
	kind, err := strconv.Atoi(a[1])
	if err != nil {
		return err
	}
	bytes, err := hex.DecodeString(a[2])
	if err != nil {
		return err
	}
	mount, err := os.Open(a[0])
	if err != nil {
		return err
	}
	defer mount.Close()
	return closed(unix.OpenByHandleAt(int(mount.Fd()), unix.NewFileHandle(int32(kind), bytes), unix.O_RDONLY|unix.O_CLOEXEC))
}
