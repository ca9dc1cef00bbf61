package daemon

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"cloister/internal/sys"
)

// process names a process for as long as the host is up: a number alone may be
// given to another.
type process struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start"` // in clock ticks since boot
}

// errEnded says that a process is no more.
var errEnded = errors.New("process has ended")

// identify looks up a running process, or returns errEnded.
func identify(pid int) (process, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) { // at the open, at the read
		return process{}, fmt.Errorf("process %d: %w", pid, errEnded)
	}
	if err != nil {
		return process{}, err
	}
	start, err := parseStartTime(data)
	if err != nil {
		return process{}, fmt.Errorf("/proc/%d/stat: %w", pid, err)
	}
	return process{pid, start}, nil
}

// startTimeField is the place of starttime in /proc/<pid>/stat, counted from the
// state, the first field after the name (proc_pid_stat(5): fields 22 and 3).
const startTimeField = 22 - 3

// parseStartTime reads field 22 of /proc/<pid>/stat. The name before may hold
// blanks and parentheses.
func parseStartTime(stat []byte) (uint64, error) {
	end := bytes.LastIndexByte(stat, ')')
	if end < 0 {
		return 0, errors.New("no process name")
	}
	f := strings.Fields(string(stat[end+1:]))
	if len(f) <= startTimeField {
		return 0, errors.New("too few fields")
	}
	return strconv.ParseUint(f[startTimeField], 10, 64)
}

// open returns a handle on the process, or errEnded.
func (p process) open() (*sys.FD, error) {
	fd, err := sys.OpenProcess(p.PID)
	if errors.Is(err, syscall.ESRCH) {
		err = errEnded
	}
	if err != nil {
		return nil, fmt.Errorf("process %d: %w", p.PID, err)
	}
	// The number may have changed hands before the open, not after.
	now, err := identify(p.PID)
	if err == nil && now != p {
		err = fmt.Errorf("process %d: %w", p.PID, errEnded)
	}
	if err != nil {
		return nil, errors.Join(err, fd.Close())
	}
	return fd, nil
}

// running reports whether the process is still there. In doubt it is: what it has
// must not be given away.
func (p process) running() bool {
	now, err := identify(p.PID)
	if err != nil {
		return !errors.Is(err, errEnded)
	}
	return now == p
}

// startsPIDNamespace reports whether a process is the first of its pid namespace,
// whose end is the end of all in it.
func startsPIDNamespace(pid int) (bool, error) {
	path := fmt.Sprintf("/proc/%d/status", pid)
	status, err := os.ReadFile(path)
	if err != nil {
		return false, err
	}
	innermost, err := parseInnermostPID(string(status))
	if err != nil {
		return false, fmt.Errorf("%s: %w", path, err)
	}
	return innermost == "1", nil
}

// parseInnermostPID reads a process's number in its own pid namespace, the last of
// the line NSpid (proc_pid_status(5)).
func parseInnermostPID(status string) (string, error) {
	for line := range strings.Lines(status) {
		if numbers, ok := strings.CutPrefix(line, "NSpid:"); ok {
			f := strings.Fields(numbers)
			if len(f) > 0 {
				return f[len(f)-1], nil
			}
		}
	}
	return "", errors.New("no NSpid (Linux 4.1 has it)")
}
