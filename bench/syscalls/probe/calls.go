package main

import (
	"fmt"
	"os"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"cloister/bench/syscalls"
)

var cases = map[string][]step{
	syscalls.GetPPID:      {repeat(getppid)},
	syscalls.GetPPIDAdmin: {repeat(getppid)},
	syscalls.Stat:         {repeat(stat)},
	syscalls.SysInfo:      {sysinfo},
	syscalls.Affinity:     {affinity},
	syscalls.MountTmpfs:   {mount("tmpfs", "tmpfs", 0), umount},
	syscalls.MountProc:    {mount("proc", "proc", 0), umount},
	syscalls.MountSysfs:   {mount("sysfs", "sysfs", 0), umount},
	syscalls.MountBind:    {mount("/etc", "", unix.MS_BIND), umount},
	syscalls.ReadSysctls:  {program("sysctl", "-a")},
	syscalls.Find:         {program("find", "/")},
	syscalls.Compile:      {compile},
}

// batch is how often a call that takes less than a microsecond is made at a time, so
// that reading the clock does not count.
const batch = 1000

// calls says how many calls a step makes.
func calls(name string) int {
	switch name {
	case syscalls.GetPPID, syscalls.GetPPIDAdmin, syscalls.Stat:
		return batch
	}
	return 1
}

func repeat(do step) step {
	return func() error {
		for range batch {
			if err := do(); err != nil {
				return err
			}
		}
		return nil
	}
}

func getppid() error {
	unix.RawSyscall(unix.SYS_GETPPID, 0, 0, 0)
	return nil
}

func stat() error {
	var s unix.Stat_t
	return unix.Stat("/etc", &s)
}

func sysinfo() error {
	var i unix.Sysinfo_t
	return raw(unix.SYS_SYSINFO, uintptr(unsafe.Pointer(&i)), 0, 0)
}

func affinity() error {
	var s unix.CPUSet
	return raw(unix.SYS_SCHED_GETAFFINITY, 0, unsafe.Sizeof(s), uintptr(unsafe.Pointer(&s)))
}

// raw makes a call that Go's scheduler does not see: it has a thread look after those that
// are in a system call, which takes turns with who answers this one.
func raw(nr, a, b, c uintptr) error {
	if _, _, errno := unix.RawSyscall(nr, a, b, c); errno != 0 {
		return errno
	}
	return nil
}

// target is where things are mounted.
const target = "/tmp/target"

func mount(source, kind string, flags uintptr) step {
	return func() error {
		err := unix.Mount(source, target, kind, flags, "")
		if os.IsNotExist(err) {
			if err := os.MkdirAll(target, 0o755); err != nil {
				return err
			}
			err = unix.Mount(source, target, kind, flags, "")
		}
		if err != nil {
			return fmt.Errorf("mount: %w", err)
		}
		return nil
	}
}

// views counts the mounts over what is mounted at the target.
func views() int {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return 0
	}
	return strings.Count(string(table), " "+target+"/")
}

func umount() error { return unix.Unmount(target, 0) }
