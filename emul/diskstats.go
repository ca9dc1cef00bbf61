package emul

import (
	"bytes"
	"fmt"
	"strconv"

	"cloister/cgroupview"
)

// hostDiskstats is the host's /proc/diskstats.
type hostDiskstats struct {
	devices []diskstatsDevice
	columns int // figures on a line: 11, 15 since Linux 4.18, 17 since 5.5
}

type diskstatsDevice struct {
	major, minor uint32
	prefix       string // "   8       0 sda"
}

// parseDiskstats parses the host's /proc/diskstats, diskstats_show in
// block/genhd.c: "MAJOR MINOR NAME" and a number of figures on each line.
func parseDiskstats(b []byte) (hostDiskstats, error) {
	var h hostDiskstats
	for line := range bytes.Lines(b) {
		major, rest := cutField(line)
		minor, rest := cutField(rest)
		name, figures := cutField(rest)
		maj, err1 := strconv.ParseUint(string(major), 10, 32)
		minr, err2 := strconv.ParseUint(string(minor), 10, 32)
		if err1 != nil || err2 != nil || len(name) == 0 {
			return h, fmt.Errorf("line %.60q: %w", line, cgroupview.ErrFormat)
		}
		h.columns = len(bytes.Fields(figures))
		h.devices = append(h.devices, diskstatsDevice{
			major: uint32(maj), minor: uint32(minr),
			prefix: fmt.Sprintf("%4d %7d %s", maj, minr, name),
		})
	}
	return h, nil
}

// cutField splits b after its first field.
func cutField(b []byte) (field, rest []byte) {
	b = bytes.TrimLeft(b, " ")
	i := bytes.IndexAny(b, " \n")
	if i < 0 {
		return b, nil
	}
	return b[:i], b[i:]
}

// renderDiskstats renders /proc/diskstats: the devices on which the container's
// cgroup has done I/O, with its own requests and bytes. The kernel counts no
// merges and no times per cgroup, and partitions as part of their disk.
func renderDiskstats(dst []byte, v *view, hostStats hostDiskstats, _ input) []byte {
	for i := range hostStats.devices {
		host := &hostStats.devices[i]
		if io := v.usedDevice(host.major, host.minor); io != nil {
			dst = append(dst, host.prefix...)
			dst = appendDiskstats(dst, io, hostStats.columns)
		}
	}
	return dst
}

// usedDevice returns what the container has done on a device, nil if that is nothing.
func (v *view) usedDevice(major, minor uint32) *cgroupview.DeviceIO {
	for i := range v.usage.IO {
		io := &v.usage.IO[i]
		if io.Major == major && io.Minor == minor && io.RIOs+io.WIOs+io.DIOs > 0 {
			return io
		}
	}
	return nil
}

func appendDiskstats(dst []byte, io *cgroupview.DeviceIO, columns int) []byte {
	const sector = 512 // of every figure in the file, whatever the device
	for column := range columns {
		var v uint64
		switch column {
		case 0:
			v = io.RIOs
		case 2:
			v = io.RBytes / sector
		case 4:
			v = io.WIOs
		case 6:
			v = io.WBytes / sector
		case 11:
			v = io.DIOs
		case 13:
			v = io.DBytes / sector
		}
		dst = strconv.AppendUint(append(dst, ' '), v, 10)
	}
	return append(dst, '\n')
}
