package emul

import (
	"bytes"
	"fmt"
	"strconv"
	"time"

	"cloister/cgroupview"
)

// tick is the unit of the times in /proc/stat, in nanoseconds: USER_HZ is 100 on
// every architecture we run on.
const tick = uint64(time.Second) / 100

// btimePeriod is how long the host's boot time is relied on. It changes only
// when somebody sets the clock, and /proc/stat is dear on a large machine.
const btimePeriod = time.Second

// parseBtime finds the line "btime SECONDS" of the host's /proc/stat.
func parseBtime(b []byte) (int64, error) {
	for line := range bytes.Lines(b) {
		value, ok := bytes.CutPrefix(line, []byte("btime "))
		if !ok {
			continue
		}
		v, err := strconv.ParseInt(string(bytes.TrimSpace(value)), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("line %.60q: %w", line, cgroupview.ErrFormat)
		}
		return v, nil
	}
	return 0, fmt.Errorf("no btime: %w", cgroupview.ErrFormat)
}

// renderStat renders /proc/stat, fs/proc/stat.c.
//
// The CPU rows are those of the container: what its cgroup has used, and idle
// time up to what it was allowed to use. 100 % of a quota therefore reads as
// 100 % of the CPUs that the container sees, also when that quota is half a CPU.
// The kernel counts no other kind of time per cgroup, and no interrupts. Context switches
// are those of the tasks that were counted for the load.
func renderStat(dst []byte, v *view, hostBtime int64, _ input) []byte {
	var sum cpuRow
	for i := range v.cpu.Rows {
		r := &v.cpu.Rows[i]
		sum.User += r.User / tick
		sum.System += r.System / tick
		sum.Idle.Total += r.Idle.Total / tick
	}
	dst = appendCPUTimes(append(dst, "cpu "...), sum.User, sum.System, sum.Idle.Total)
	for i := range v.cpu.Rows {
		r := &v.cpu.Rows[i]
		dst = strconv.AppendInt(append(dst, "cpu"...), int64(i), 10)
		dst = appendCPUTimes(dst, r.User/tick, r.System/tick, r.Idle.Total/tick)
	}
	dst = appendUints(append(dst, "intr 0\nctxt"...), v.load.Switches)
	dst = append(dst, "\nbtime "...)
	dst = strconv.AppendInt(dst, v.clock.btime(hostBtime), 10)
	dst = appendUints(append(dst, "\nprocesses"...), uint64(v.load.Forks))
	dst = appendUints(append(dst, "\nprocs_running"...), uint64(v.running()))
	dst = appendUints(append(dst, "\nprocs_blocked"...), uint64(v.load.blocked))
	return append(dst, "\nsoftirq 0 0 0 0 0 0 0 0 0 0 0\n"...)
}

// appendCPUTimes appends user, nice, system, idle, iowait, irq, softirq, steal,
// guest and guest_nice.
func appendCPUTimes(dst []byte, user, system, idle uint64) []byte {
	dst = appendUints(dst, user, 0, system, idle, 0, 0, 0, 0, 0, 0)
	return append(dst, '\n')
}
