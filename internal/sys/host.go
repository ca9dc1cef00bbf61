package sys

import (
	"fmt"
	"strings"
	"time"

	"github.com/moby/sys/capability"
	"golang.org/x/sys/unix"
)

// BootTime returns the time since the host booted, suspensions included.
func BootTime() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		panic("sys: a kernel without CLOCK_BOOTTIME, which is there since Linux 2.6.39")
	}
	return time.Duration(ts.Nano())
}

// Capabilities returns the capabilities that this process can pass on to another
// program, named as in config.json ("CAP_SYS_ADMIN").
func Capabilities() (map[string]bool, error) {
	own, err := capability.NewPid2(0)
	if err != nil {
		return nil, fmt.Errorf("own capabilities: %w", err)
	}
	if err := own.Load(); err != nil {
		return nil, fmt.Errorf("own capabilities: %w", err)
	}
	out := map[string]bool{}
	for _, c := range capability.ListKnown() {
		if own.Get(capability.PERMITTED, c) && own.Get(capability.BOUNDING, c) {
			out["CAP_"+strings.ToUpper(c.String())] = true
		}
	}
	return out, nil
}

// rlimits are the names that config.json uses.
var rlimits = map[string]int{
	"RLIMIT_AS": unix.RLIMIT_AS, "RLIMIT_CORE": unix.RLIMIT_CORE, "RLIMIT_CPU": unix.RLIMIT_CPU,
	"RLIMIT_DATA": unix.RLIMIT_DATA, "RLIMIT_FSIZE": unix.RLIMIT_FSIZE, "RLIMIT_LOCKS": unix.RLIMIT_LOCKS,
	"RLIMIT_MEMLOCK": unix.RLIMIT_MEMLOCK, "RLIMIT_MSGQUEUE": unix.RLIMIT_MSGQUEUE, "RLIMIT_NICE": unix.RLIMIT_NICE,
	"RLIMIT_NOFILE": unix.RLIMIT_NOFILE, "RLIMIT_NPROC": unix.RLIMIT_NPROC, "RLIMIT_RSS": unix.RLIMIT_RSS,
	"RLIMIT_RTPRIO": unix.RLIMIT_RTPRIO, "RLIMIT_RTTIME": unix.RLIMIT_RTTIME,
	"RLIMIT_SIGPENDING": unix.RLIMIT_SIGPENDING, "RLIMIT_STACK": unix.RLIMIT_STACK,
}

// HardLimit returns this process's hard limit of a resource, named as in
// config.json; false if the name is not known.
func HardLimit(name string) (uint64, bool) {
	resource, ok := rlimits[name]
	if !ok {
		return 0, false
	}
	var l unix.Rlimit
	if err := unix.Getrlimit(resource, &l); err != nil {
		return 0, false
	}
	return l.Max, true
}
