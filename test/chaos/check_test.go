//go:build chaos

package chaos

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// file is one that is read, and how what it says is checked.
type file struct {
	path  string
	check func(lines []string, c *container, s *seen) error
	// panics tells that the daemon panics in some of its renders: then EIO is right.
	panics bool
}

// files are those that are read. Their daemon panics in renders of the last.
var files = []file{
	{path: "proc/meminfo", check: checkMeminfo},
	{path: "proc/stat", check: checkStat},
	{path: "proc/uptime", check: checkUptime},
	{path: "proc/loadavg", check: checkLoadavg},
	{path: "proc/diskstats", check: checkDiskstats},
	{path: "proc/swaps", check: checkSwaps},
	{path: "proc/cpuinfo", check: checkCPUInfo},
	{path: "proc/vmstat", check: checkVmstat},
	{path: "sys/devices/system/cpu/online", check: checkOnline},
	{path: "proc/zoneinfo", check: checkZoneinfo, panics: true},
}

// seen is what one reader has seen of a container in one way, in order.
type seen struct {
	lines    map[string]int     // of files that always have as many
	counters map[string]float64 // that never go backwards
	btime    string
}

func newSeen() *seen { return &seen{lines: map[string]int{}, counters: map[string]float64{}} }

// rises makes sure that a counter does not go backwards.
func (s *seen) rises(name string, value float64) error {
	if before := s.counters[name]; value < before {
		return fmt.Errorf("%s went from %v back to %v", name, before, value)
	}
	s.counters[name] = value
	return nil
}

// same makes sure that a file has as many lines as before.
func (s *seen) same(name string, lines []string) error {
	if before, ok := s.lines[name]; ok && before != len(lines) {
		return fmt.Errorf("%d lines, before it was %d", len(lines), before)
	}
	s.lines[name] = len(lines)
	return nil
}

// checkText checks what was read of a file.
func (f *file) checkText(text []byte, c *container, s *seen) error {
	if len(text) > 0 && text[len(text)-1] != '\n' {
		return errors.New("the last line has no end")
	}
	if bytes.IndexByte(text, 0) >= 0 {
		return errors.New("it has a byte 0")
	}
	lines := strings.Split(string(text), "\n")
	return f.check(lines[:len(lines)-1], c, s)
}

func checkMeminfo(lines []string, c *container, s *seen) error {
	values := map[string]uint64{}
	for _, line := range lines {
		fields := strings.Fields(line)
		if len(fields) != 2 && (len(fields) != 3 || fields[2] != "kB") || !strings.HasSuffix(fields[0], ":") {
			return fmt.Errorf("line %q", line)
		}
		n, err := strconv.ParseUint(fields[1], 10, 64)
		if err != nil {
			return err
		}
		values[fields[0]] = n
	}
	total := values["MemTotal:"]
	if total != c.MemKiB {
		return fmt.Errorf("MemTotal is %d, want %d", total, c.MemKiB)
	}
	if len(lines) < 20 || len(values) != len(lines) || values["MemFree:"] > total || values["MemAvailable:"] > total {
		return fmt.Errorf("%d lines with %v", len(lines), values)
	}
	return s.same("meminfo", lines)
}

func checkStat(lines []string, c *container, s *seen) error {
	cpus, btime := 0, ""
	for i, line := range lines {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			return fmt.Errorf("line %q", line)
		}
		switch {
		case i == 0 && fields[0] == "cpu":
			total, err := sum(fields[1:])
			if err := errors.Join(err, s.rises("cpu", total)); err != nil {
				return err
			}
		case strings.HasPrefix(fields[0], "cpu"):
			cpus++
		case fields[0] == "btime":
			btime = fields[1]
		}
	}
	if cpus != c.CPUs || btime == "" || s.btime != "" && btime != s.btime {
		return fmt.Errorf("%d CPUs, want %d; btime %s, before %s", cpus, c.CPUs, btime, s.btime)
	}
	s.btime = btime
	return s.same("stat", lines)
}

func sum(fields []string) (total float64, err error) {
	for _, f := range fields {
		n, err := strconv.ParseUint(f, 10, 64)
		if err != nil {
			return 0, err
		}
		total += float64(n)
	}
	return total, nil
}

func checkUptime(lines []string, _ *container, s *seen) error {
	var up, idle float64
	if len(lines) != 1 {
		return fmt.Errorf("%d lines", len(lines))
	}
	if n, err := fmt.Sscanf(lines[0], "%f %f", &up, &idle); n != 2 {
		return fmt.Errorf("line %q: %w", lines[0], err)
	}
	return errors.Join(s.rises("uptime", up), s.rises("idle time", idle))
}

func checkLoadavg(lines []string, _ *container, _ *seen) error {
	var one, five, fifteen float64
	var running, all, last int
	if len(lines) != 1 {
		return fmt.Errorf("%d lines", len(lines))
	}
	n, err := fmt.Sscanf(lines[0], "%f %f %f %d/%d %d", &one, &five, &fifteen, &running, &all, &last)
	if n != 6 || running > all || all < 1 || max(one, five, fifteen) > math.MaxInt16 {
		return fmt.Errorf("line %q: %w", lines[0], err)
	}
	return nil
}

func checkDiskstats(lines []string, _ *container, _ *seen) error {
	for _, line := range lines {
		fields := strings.Fields(line)
		if len(fields) < 14 {
			return fmt.Errorf("line %q", line)
		}
		if _, err := sum(fields[3:]); err != nil {
			return err
		}
	}
	return nil
}

func checkSwaps(lines []string, _ *container, s *seen) error {
	if len(lines) < 1 || !strings.HasPrefix(lines[0], "Filename\t") {
		return fmt.Errorf("%q", lines)
	}
	return s.same("swaps", lines)
}

func checkCPUInfo(lines []string, c *container, s *seen) error {
	cpus := 0
	for _, line := range lines {
		if strings.HasPrefix(line, "processor\t") {
			cpus++
		}
	}
	if cpus != c.CPUs || lines[len(lines)-1] != "" {
		return fmt.Errorf("%d CPUs, want %d, in %d lines", cpus, c.CPUs, len(lines))
	}
	return s.same("cpuinfo", lines)
}

func checkVmstat(lines []string, _ *container, s *seen) error {
	for _, line := range lines {
		name, value, _ := strings.Cut(line, " ")
		if n, err := strconv.ParseInt(value, 10, 64); err != nil || n < 0 || name == "" {
			return fmt.Errorf("line %q", line)
		}
	}
	if len(lines) < 20 {
		return fmt.Errorf("%d lines", len(lines))
	}
	return s.same("vmstat", lines)
}

func checkOnline(lines []string, c *container, _ *seen) error {
	want := "0"
	if c.CPUs > 1 {
		want = fmt.Sprintf("0-%d", c.CPUs-1)
	}
	if len(lines) != 1 || lines[0] != want {
		return fmt.Errorf("%q, want %q", lines, want)
	}
	return nil
}

func checkZoneinfo(lines []string, _ *container, s *seen) error {
	if len(lines) < 10 || !strings.HasPrefix(lines[0], "Node ") {
		return fmt.Errorf("%d lines", len(lines))
	}
	return nil
}
