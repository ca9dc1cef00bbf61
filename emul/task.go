package emul

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"cloister/cgroupview"
)

// taskStart returns the start time of a process, as CLOCK_BOOTTIME of the
// reader's time namespace, from its /proc/PID/stat.
func taskStart(stat []byte) (time.Duration, error) {
	const starttime = 22 - 3 // field 22 of proc_pid_stat(5), and we begin with 3
	f, err := statFields(stat)
	if err != nil {
		return 0, err
	}
	fields := bytes.Fields(f)
	if len(fields) <= starttime {
		return 0, fmt.Errorf("%d fields: %w", len(fields), cgroupview.ErrFormat)
	}
	ticks, err := strconv.ParseInt(string(fields[starttime]), 10, 64)
	if err != nil || ticks < 0 || ticks > int64(maxDuration/time.Duration(tick)) {
		return 0, fmt.Errorf("start time %.40q: %w", fields[starttime], cgroupview.ErrFormat)
	}
	return time.Duration(ticks) * time.Duration(tick), nil
}

const maxDuration = time.Duration(1<<63 - 1)

// statFields returns what follows the name of a task in its stat line, from the
// state on. The name is in parentheses and may hold anything, blanks,
// parentheses and newlines included; nothing after it has a parenthesis.
func statFields(stat []byte) ([]byte, error) {
	i := bytes.LastIndexByte(stat, ')')
	if i < 0 || len(stat) < i+3 || stat[i+1] != ' ' {
		return nil, fmt.Errorf("task %.60q: %w", stat, cgroupview.ErrFormat)
	}
	return stat[i+2:], nil
}

// readProc reads the beginning of a small file of procfs, up to the size of buf.
// It is made for the many files of tasks: three system calls, nothing kept.
func readProc(path string, buf []byte) ([]byte, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	for {
		n, err := unix.Read(fd, buf)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		return buf[:max(0, n)], err
	}
}
