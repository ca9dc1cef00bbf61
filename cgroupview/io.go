package cgroupview

import (
	"bytes"
	"fmt"
	"strconv"
)

// DeviceIO is what a cgroup has read from, written to and discarded on one
// block device: bytes and requests, since the cgroup was made.
type DeviceIO struct {
	Major, Minor           uint32
	RBytes, WBytes, DBytes uint64
	RIOs, WIOs, DIOs       uint64
}

// ioV2 reads io.stat.
type ioV2 struct{ stat *file }

func newIOV2(d *dir) reader { return &ioV2{stat: d.file(0, "io.stat")} }

func (r *ioV2) read(buf *[]byte, u *Usage) (err error) {
	u.IOOwn, err = r.stat.parse(buf, func(b []byte) (err error) {
		u.IO, err = parseIOStat(b, u.IO)
		return err
	})
	return err
}

func (r *ioV2) close() { r.stat.close() }

// parseIOStat parses v2's io.stat: "MAJ:MIN key=value …" on each line. A line
// may hold the device alone, and keys of other controllers. Linux 5.15 and 5.16
// don't end the line of a device without figures: then the next one follows it.
func parseIOStat(b []byte, devices []DeviceIO) ([]DeviceIO, error) {
	for len(b) > 0 {
		var line []byte
		line, b = cutLine(b)
		id, rest := cutField(line)
		d, err := parseDevice(id)
		if err != nil {
			return nil, fmt.Errorf("line %.60q: %w", line, err)
		}
		if err := d.parseIOStat(rest); err != nil {
			return nil, fmt.Errorf("line %.60q: %w", line, err)
		}
		devices = append(devices, d)
	}
	return devices, nil
}

func (d *DeviceIO) parseIOStat(pairs []byte) error {
	for len(pairs) > 0 {
		var pair []byte
		pair, pairs = cutField(pairs)
		key, value, isPair := bytes.Cut(pair, []byte{'='})
		if !isPair {
			if next, err := parseDevice(pair); err == nil {
				*d = next
				continue
			}
		}
		dest := d.fieldV2(key)
		if dest == nil {
			continue
		}
		v, err := parseUint(value)
		if err != nil {
			return err
		}
		*dest = v
	}
	return nil
}

func (d *DeviceIO) fieldV2(key []byte) *uint64 {
	switch string(key) {
	case "rbytes":
		return &d.RBytes
	case "wbytes":
		return &d.WBytes
	case "dbytes":
		return &d.DBytes
	case "rios":
		return &d.RIOs
	case "wios":
		return &d.WIOs
	case "dios":
		return &d.DIOs
	}
	return nil
}

// ioV1 reads the counters of blk-throttle, the only ones of the blkio
// controller that count whatever I/O scheduler is in use. Older kernels have
// them without the children only.
type ioV1 struct{ bytes, ios, bytesFlat, iosFlat *file }

func newIOV1(d *dir) reader {
	return &ioV1{
		bytes:     d.file(0, "blkio.throttle.io_service_bytes_recursive"),
		ios:       d.file(0, "blkio.throttle.io_serviced_recursive"),
		bytesFlat: d.file(0, "blkio.throttle.io_service_bytes"),
		iosFlat:   d.file(0, "blkio.throttle.io_serviced"),
	}
}

func (r *ioV1) read(buf *[]byte, u *Usage) error {
	ok, err := u.readBlkio(buf, r.bytes, (*DeviceIO).bytesV1)
	if err == nil && !ok {
		ok, err = u.readBlkio(buf, r.bytesFlat, (*DeviceIO).bytesV1)
	}
	if err != nil || !ok {
		return err
	}
	u.IOOwn = true
	ok, err = u.readBlkio(buf, r.ios, (*DeviceIO).iosV1)
	if err == nil && !ok {
		_, err = u.readBlkio(buf, r.iosFlat, (*DeviceIO).iosV1)
	}
	return err
}

func (u *Usage) readBlkio(buf *[]byte, f *file, field func(*DeviceIO, []byte) *uint64) (bool, error) {
	return f.parse(buf, func(b []byte) (err error) {
		u.IO, err = parseBlkio(b, u.IO, field)
		return err
	})
}

func (r *ioV1) close() {
	for _, f := range []*file{r.bytes, r.ios, r.bytesFlat, r.iosFlat} {
		f.close()
	}
}

// parseBlkio parses a file of the blkio controller into devices, which may
// already hold the figures of another one: "MAJ:MIN Operation value" on each
// line, then "Total value".
func parseBlkio(b []byte, devices []DeviceIO, field func(*DeviceIO, []byte) *uint64) ([]DeviceIO, error) {
	for len(b) > 0 {
		var line []byte
		line, b = cutLine(b)
		id, rest := cutField(line)
		op, value := cutField(rest)
		if string(id) == "Total" {
			continue
		}
		d, err := parseDevice(id)
		if err != nil {
			return nil, fmt.Errorf("line %.60q: %w", line, err)
		}
		i := 0
		for i < len(devices) && (devices[i].Major != d.Major || devices[i].Minor != d.Minor) {
			i++
		}
		if i == len(devices) {
			devices = append(devices, d)
		}
		dest := field(&devices[i], op)
		if dest == nil {
			continue
		}
		if *dest, err = parseUint(value); err != nil {
			return nil, fmt.Errorf("line %.60q: %w", line, err)
		}
	}
	return devices, nil
}

func (d *DeviceIO) bytesV1(op []byte) *uint64 {
	return opV1(op, &d.RBytes, &d.WBytes, &d.DBytes)
}

func (d *DeviceIO) iosV1(op []byte) *uint64 {
	return opV1(op, &d.RIOs, &d.WIOs, &d.DIOs)
}

func opV1(op []byte, read, write, discard *uint64) *uint64 {
	switch string(op) {
	case "Read":
		return read
	case "Write":
		return write
	case "Discard":
		return discard
	}
	return nil
}

// parseDevice parses "MAJ:MIN".
func parseDevice(id []byte) (DeviceIO, error) {
	major, minor, _ := bytes.Cut(id, []byte{':'})
	maj, err := strconv.ParseUint(string(major), 10, 32)
	if err != nil {
		return DeviceIO{}, fmt.Errorf("device %.20q: %w", id, ErrFormat)
	}
	minr, err := strconv.ParseUint(string(minor), 10, 32)
	if err != nil {
		return DeviceIO{}, fmt.Errorf("device %.20q: %w", id, ErrFormat)
	}
	return DeviceIO{Major: uint32(maj), Minor: uint32(minr)}, nil
}
