package daemon

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"cloister/internal/sys"
)

// timeOffset returns how far the clock since boot of a process is from the host's,
// if the process has a time namespace of its own.
func timeOffset(pid int) (offset time.Duration, own bool, err error) {
	its, err := timeNamespace(pid)
	if errors.Is(err, os.ErrNotExist) {
		return 0, false, nil // the kernel has no time namespaces
	}
	if err != nil {
		return 0, false, err
	}
	ours, err := timeNamespace(os.Getpid())
	if err != nil || its == ours {
		return 0, false, err
	}
	path := fmt.Sprintf("/proc/%d/timens_offsets", pid)
	text, err := os.ReadFile(path)
	if err == nil {
		offset, err = parseBootOffset(string(text))
	}
	if err != nil {
		return 0, false, fmt.Errorf("%s: %w", path, err)
	}
	return offset, true, nil
}

func timeNamespace(pid int) (sys.FileID, error) {
	ns, err := sys.OpenPIDNamespace(pid, "time")
	if err != nil {
		return sys.FileID{}, err
	}
	return ns.ID(), ns.Close()
}

// parseBootOffset reads the line "boottime <seconds> <nanoseconds>" of a process's
// timens_offsets (time_namespaces(7)).
func parseBootOffset(text string) (time.Duration, error) {
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) != 3 || f[0] != "boottime" {
			continue
		}
		seconds, err := strconv.ParseInt(f[1], 10, 33)
		if err != nil {
			return 0, err
		}
		nanoseconds, err := strconv.ParseUint(f[2], 10, 30)
		if err != nil {
			return 0, err
		}
		return time.Duration(seconds)*time.Second + time.Duration(nanoseconds), nil
	}
	return 0, errors.New("no offset of boottime")
}
