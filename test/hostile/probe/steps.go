package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// steps are what rows are made of. Each is answered with "ok", the name of an errno, or
// what was read; those that only prepare are not answered unless they fail.
var steps = map[string]func(*walker, []string) (string, error){
	"enter": silent(enter),
	"api":   silent(setAPI),
	"mkdir": silent(func(_ *walker, a []string) error { return os.MkdirAll(a[0], 0o755) }),
	"touch": silent(func(_ *walker, a []string) error { return os.WriteFile(a[0], nil, 0o644) }),
	"link":  silent(func(_ *walker, a []string) error { return errors.Join(ignore(os.Remove(a[1])), os.Symlink(a[0], a[1])) }),
	"cd":    silent(func(_ *walker, a []string) error { return os.Chdir(a[0]) }),
	"chmod": silent(chmod),
	"as":    silent(become),
	"drop":  silent(drop),

	// Mounts. FS is a type, OPTIONS are mount(8)'s.
	"new":       plain(func(w *walker, a []string) error { return w.create(a[0], a[1], strings.Join(a[2:], "")) }),
	"bind":      plain(func(w *walker, a []string) error { return w.bind(a[0], a[1], false) }),
	"rbind":     plain(func(w *walker, a []string) error { return w.bind(a[0], a[1], true) }),
	"move":      plain(func(w *walker, a []string) error { return w.move(a[0], a[1]) }),
	"umount":    plain(func(w *walker, a []string) error { return w.abi().umount(a[0], 0) }),
	"detach":    plain(func(w *walker, a []string) error { return w.abi().umount(a[0], unix.MNT_DETACH) }),
	"set":       plain(func(w *walker, a []string) error { return w.attribute(a[1], a[0], true) }),
	"clear":     plain(func(w *walker, a []string) error { return w.attribute(a[1], a[0], false) }),
	"superset":  plain(func(_ *walker, a []string) error { return reconfigure(a[1], a[0], true) }),
	"propagate": plain(func(w *walker, a []string) error { return w.propagation(a[0], a[1]) }),
	"cgroup":    plain(func(w *walker, a []string) error { return w.abi().mount("cgroup", a[0], "cgroup", 0, a[1]) }),

	// Files. What is opened to write is opened to append: nothing is written.
	"write":  plain(func(_ *walker, a []string) error { return write(a[0]) }),
	"append": plain(func(_ *walker, a []string) error { return open(a[0], unix.O_WRONLY|unix.O_APPEND) }),
	"open":   plain(func(_ *walker, a []string) error { return open(a[0], unix.O_RDONLY) }),
	"put":    plain(func(_ *walker, a []string) error { return put(a[0], a[1]) }),
	"mknod":  plain(mknod),
	"stat":   plain(func(_ *walker, a []string) error { var s unix.Stat_t; return unix.Stat(a[0], &s) }),
	"read":   read,
	"shows":  shows,
	"names":  names,

	"attributes": func(_ *walker, a []string) (string, error) { return attributeNames(a[0]) },

	// Views.
	"carries":  carries,
	"agree":    agree,
	"total":    total,
	"detached": detached,
	"clone":    clone,
	"sysinfo":  sysinfoTotal,
}

// ignore takes a missing file for none.
func ignore(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

func open(path string, flags int) error {
	fd, err := unix.Open(path, flags|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err == nil {
		unix.Close(fd)
	}
	return err
}

// write makes a file in a directory and removes it.
func write(dir string) error {
	f, err := os.CreateTemp(dir, "written")
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// put writes into a file that is there.
func put(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

func mknod(_ *walker, a []string) error {
	kind := map[string]uint32{"b": unix.S_IFBLK, "c": unix.S_IFCHR}[a[1]]
	major, err := strconv.Atoi(a[2])
	if err != nil {
		return err
	}
	minor, err := strconv.Atoi(a[3])
	if err != nil {
		return err
	}
	return errors.Join(ignore(os.Remove(a[0])), unix.Mknod(a[0], kind|0o600, int(unix.Mkdev(uint32(major), uint32(minor)))))
}

func chmod(_ *walker, a []string) error {
	mode, err := strconv.ParseUint(a[0], 8, 32)
	if err != nil {
		return err
	}
	return os.Chmod(a[1], os.FileMode(mode))
}

// read answers with the first line.
func read(_ *walker, a []string) (string, error) {
	text, err := os.ReadFile(a[0])
	line, _, _ := strings.Cut(string(text), "\n")
	if err == nil && line == "" {
		line = "empty"
	}
	return line, err
}

// shows tells whether a file has any content.
func shows(_ *walker, a []string) (string, error) {
	f, err := os.Open(a[0])
	if err != nil {
		return "", err
	}
	defer f.Close()
	if n, err := f.Read(make([]byte, 16)); n == 0 || err != nil {
		return "empty", nil
	}
	return "content", nil
}

// names counts a directory's.
func names(_ *walker, a []string) (string, error) {
	entries, err := os.ReadDir(a[0])
	return strconv.Itoa(len(entries)), err
}

// become gives up the user and all capabilities.
func become(_ *walker, a []string) error {
	uid, err := strconv.Atoi(a[0])
	if err != nil {
		return err
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, uintptr(uid), uintptr(uid), uintptr(uid)); errno != 0 {
		return errno // the thread's alone, which is the only one that takes steps
	}
	return nil
}

// drop gives up capabilities, by their numbers.
func drop(_ *walker, a []string) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return err
	}
	for _, text := range a {
		n, err := strconv.Atoi(text)
		if err != nil {
			return err
		}
		data[n/32].Effective &^= 1 << (n % 32)
		data[n/32].Permitted &^= 1 << (n % 32)
		data[n/32].Inheritable &^= 1 << (n % 32)
	}
	return unix.Capset(&header, &data[0])
}

// sysinfoTotal answers with the total of memory in KiB, in an ABI.
func sysinfoTotal(_ *walker, a []string) (string, error) {
	m, err := lowMemory(4096)
	if err != nil {
		return "", err
	}
	kind := native
	if len(a) > 0 {
		kind = i386
	}
	if _, err := kind.call(callSysinfo, m.address()); err != nil {
		return "", err
	}
	kib, err := sysinfoKiB(kind, m)
	return fmt.Sprint(kib), err
}
