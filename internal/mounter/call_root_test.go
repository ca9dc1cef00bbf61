//go:build root

package mounter_test

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// call makes the mount(2) that its arguments say and writes what came of it, or makes and
// undoes it COUNT times, by umount2(2) with the flags UNMOUNT or MNT_DETACH, and writes
// how many nanoseconds all took. With AGAIN what it has mounted is bound onto itself.
// With ROOT it makes it in a new tmpfs there as its root, and undoes that. With TWICE it
// makes the very same call again at once.
// "@NAME" for a target is a descriptor of it by the path VIA.
func call(args []string) error {
	args = append(args, make([]string, 5)...)
	flags, err := strconv.ParseUint(cmp.Or(args[3], "0"), 0, 64)
	if err != nil {
		return err
	}
	if name, ok := strings.CutPrefix(args[1], "@"); ok {
		fd, err := unix.Open(name, unix.O_PATH, 0)
		if err != nil {
			return err
		}
		args[1] = fmt.Sprintf(os.Getenv("VIA"), fd)
	}
	count, _ := strconv.Atoi(os.Getenv("COUNT"))
	undo, err := strconv.Atoi(cmp.Or(os.Getenv("UNMOUNT"), strconv.Itoa(unix.MNT_DETACH)))
	if err != nil {
		return err
	}
	var took time.Duration
	for range max(count, 1) {
		begin := time.Now()
		mount := func() error { return unix.Mount(args[0], args[1], args[2], uintptr(flags), args[4]) }
		root := os.Getenv("ROOT")
		switch {
		case root != "":
			err = inRoot(root, undo, mount)
		case os.Getenv("TWICE") != "":
			err = mountTwice(args, uintptr(flags))
		default:
			err = mount()
		}
		took += time.Since(begin)
		if err == nil && os.Getenv("AGAIN") != "" {
			err = errors.Join(unix.Mount(args[1], args[1], "", unix.MS_BIND, ""), unix.Unmount(args[1], undo))
		}
		if count > 0 && root == "" && err == nil {
			err = unix.Unmount(args[1], undo)
		}
		if err != nil {
			break
		}
	}
	text := "ok"
	var errno syscall.Errno
	switch {
	case errors.As(err, &errno):
		text = unix.ErrnoName(errno)
	case count > 0:
		text = strconv.FormatInt(took.Nanoseconds(), 10)
	}
	_, err = io.WriteString(os.Stdout, text+"\n")
	return err
}

// mountTwice calls mount(2) from one thread with the same arguments at the same addresses.
func mountTwice(args []string, flags uintptr) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var text [3]*byte
	for i := range text {
		var err error
		if text[i], err = unix.BytePtrFromString(args[i]); err != nil {
			return err
		}
	}
	for range 2 {
		_, _, e := unix.Syscall6(unix.SYS_MOUNT, uintptr(unsafe.Pointer(text[0])), uintptr(unsafe.Pointer(text[1])),
			uintptr(unsafe.Pointer(text[2])), flags, 0, 0)
		if e != 0 {
			return e
		}
	}
	return nil
}

// inRoot calls f with a new tmpfs as the root, which it unmounts.
func inRoot(dir string, undo int, f func() error) error {
	before, err := unix.Open("/", unix.O_PATH, 0)
	if err != nil {
		return err
	}
	defer unix.Close(before)
	if err := errors.Join(unix.Mount("none", dir, "tmpfs", 0, ""), unix.Chroot(dir), f()); err != nil {
		return err
	}
	return errors.Join(unix.Fchdir(before), unix.Chroot("."), unix.Unmount(dir, undo))
}

// address is that of memory which stays where it is.
func address(b []byte) uintptr { return uintptr(unsafe.Pointer(&b[0])) }
