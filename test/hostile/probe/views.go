package main

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// overmounts returns the places below /proc and /sys that something is mounted on, with a
// comma between them. File systems of their own, like that of cgroups, may be missing from
// a new sysfs.
func overmounts() (string, error) {
	var all []string
	for _, fs := range []string{"/proc", "/sys"} {
		below, err := mountsBelow(fs)
		if err != nil {
			return "", err
		}
		all = append(all, below...)
	}
	return strings.Join(all, ","), nil
}

// mountsBelow returns mount points. The lines are those of proc_pid_mountinfo(5):
//
//	36 35 98:0 /root /mount/point rw,noatime master:1 - ext3 /dev/root rw,errors=continue
func mountsBelow(dir string) (points []string, err error) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		mount, fs, _ := strings.Cut(line, " - ")
		point := strings.Fields(mount)[4]
		if strings.HasPrefix(point, dir+"/") && !strings.HasPrefix(fs, "cgroup") && !strings.HasPrefix(point, dir+"/fs/cgroup") {
			points = append(points, point)
		}
	}
	return points, nil
}

// carries checks that a proc or sysfs has all over-mounts that the container's first one
// had, and none but those.
func carries(w *walker, a []string) (string, error) {
	at, first := a[0], a[1] // where, and like which
	below, err := mountsBelow(at)
	if err != nil {
		return "", err
	}
	var have, want []string
	for _, point := range below {
		have = append(have, first+strings.TrimPrefix(point, at))
	}
	for point := range strings.SplitSeq(os.Getenv(overmountsEnv), ",") {
		if strings.HasPrefix(point, first+"/") {
			want = append(want, point)
		}
	}
	slices.Sort(have)
	slices.Sort(want)
	have, want = slices.Compact(have), slices.Compact(want)
	if len(want) == 0 {
		return "nothing to carry", nil
	}
	for _, point := range want {
		if !slices.Contains(have, point) {
			return "lacks " + point, nil
		}
	}
	return allowed, nil
}

// agree compares files below two directories. What changes all the time has only to be of
// one kind: as many lines and fields.
func agree(w *walker, a []string) (string, error) {
	for _, name := range a[2:] {
		one, err := os.ReadFile(a[0] + "/" + name)
		if err != nil {
			return "", err
		}
		other, err := os.ReadFile(a[1] + "/" + name)
		if err != nil {
			return "", err
		}
		if !bytes.Equal(one, other) && !bytes.Equal(shape(one), shape(other)) {
			return fmt.Sprintf("%s: %.40q and %.40q", name, one, other), nil
		}
	}
	return allowed, nil
}

// shape replaces the numbers that only grow or flow; the first line's stay, which are
// totals.
func shape(text []byte) []byte {
	first, rest, _ := bytes.Cut(text, []byte("\n"))
	if bytes.Contains(first, []byte("cpu ")) || bytes.Count(text, []byte("\n")) == 1 {
		first, rest = nil, text
	}
	digits := func(r rune) rune {
		if r >= '0' && r <= '9' {
			return -1
		}
		return r
	}
	return append(first, bytes.Join(bytes.Fields(bytes.Map(digits, rest)), []byte(" "))...)
}

// total returns MemTotal of a meminfo.
func total(w *walker, a []string) (string, error) {
	text, err := os.ReadFile(a[0])
	if err != nil {
		return "", err
	}
	words := strings.Fields(string(text))
	if len(words) < 2 {
		return "empty", nil
	}
	return words[1], nil
}

// detached makes a proc that is mounted nowhere and reads its total of memory through the
// descriptor.
func detached(w *walker, a []string) (string, error) {
	fd, err := detachedFS("proc")
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	return readTotalAt(fd)
}

// clone reads it through a detached copy of the mount at a path.
func clone(w *walker, a []string) (string, error) {
	fd, err := unix.OpenTree(unix.AT_FDCWD, a[0], unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	return readTotalAt(fd)
}

func readTotalAt(dir int) (string, error) {
	fd, err := unix.Openat(dir, "meminfo", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	f := os.NewFile(uintptr(fd), "meminfo")
	defer f.Close()
	return total(nil, []string{fmt.Sprintf("/proc/self/fd/%d", f.Fd())})
}
