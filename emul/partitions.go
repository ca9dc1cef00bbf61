package emul

import (
	"bytes"
	"fmt"
	"strconv"

	"cloister/cgroupview"
)

// partition is a device of the host's.
type partition struct {
	major, minor uint32
	line         string // " 254        0  268435456 vda\n"
}

// parsePartitions parses the host's /proc/partitions, show_partition in block/genhd.c:
// two lines without figures, then "MAJOR MINOR BLOCKS NAME" on each. On a host without
// devices there are no lines at all.
func parsePartitions(b []byte) ([]partition, error) {
	var all []partition
	for line := range bytes.Lines(b) {
		if bytes.HasPrefix(line, []byte("major ")) || len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		fields := bytes.Fields(line)
		if len(fields) != 4 {
			return nil, fmt.Errorf("line %.60q: %w", line, cgroupview.ErrFormat)
		}
		major, err1 := strconv.ParseUint(string(fields[0]), 10, 32)
		minor, err2 := strconv.ParseUint(string(fields[1]), 10, 32)
		blocks, err3 := strconv.ParseUint(string(fields[2]), 10, 64)
		if err1 != nil || err2 != nil || err3 != nil {
			return nil, fmt.Errorf("line %.60q: %w", line, cgroupview.ErrFormat)
		}
		all = append(all, partition{
			major: uint32(major), minor: uint32(minor),
			line: fmt.Sprintf("%4d  %7d %10d %s\n", major, minor, blocks, fields[3]),
		})
	}
	return all, nil
}

// renderPartitions renders /proc/partitions: the devices that diskstats shows, with the
// size that they have for everybody.
func renderPartitions(dst []byte, v *view, devices []partition, _ input) []byte {
	dst = append(dst, "major minor  #blocks  name\n\n"...)
	for i := range devices {
		if d := &devices[i]; v.usedDevice(d.major, d.minor) != nil {
			dst = append(dst, d.line...)
		}
	}
	return dst
}
