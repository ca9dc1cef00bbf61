package cgroupview

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
)

// NoLimit is the value of a limit that is not set, and of the headroom below
// it.
const NoLimit uint64 = math.MaxUint64

// unlimitedV1 is where a v1 limit stops being one. The kernel prints an unset
// limit as the largest page-aligned int64, which depends on the page size; no
// machine has a quarter of it.
const unlimitedV1 = 1 << 61

// parseUint parses a decimal number, surrounded by nothing but white space.
func parseUint(b []byte) (uint64, error) {
	b = bytes.TrimSpace(b)
	v, err := strconv.ParseUint(string(b), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("number %.40q: %w", b, ErrFormat)
	}
	return v, nil
}

// parseLimit parses a limit in bytes: a number, v2's "max", or v1's huge number
// for "not set".
func parseLimit(b []byte) (uint64, error) {
	if string(bytes.TrimSpace(b)) == "max" {
		return NoLimit, nil
	}
	v, err := parseUint(b)
	if v >= unlimitedV1 {
		v = NoLimit
	}
	return v, err
}

// cutLine splits b after its first line, which is returned without the newline.
func cutLine(b []byte) (line, rest []byte) {
	line, rest, _ = bytes.Cut(b, []byte{'\n'})
	return line, rest
}

// cutField splits b after its first blank-separated field.
func cutField(b []byte) (field, rest []byte) {
	b = bytes.TrimLeft(b, " ")
	field, rest, _ = bytes.Cut(b, []byte{' '})
	return field, rest
}

// parseFlatKeyed parses "KEY VALUE" lines. dest returns where the value of a key
// goes, or nil for a key that is not wanted. Keys are compared whole: a kernel's
// "file" is not its "file_mapped".
func parseFlatKeyed(b []byte, dest func(key []byte) *uint64) error {
	for len(b) > 0 {
		var line []byte
		line, b = cutLine(b)
		key, value := cutField(line)
		d := dest(key)
		if d == nil {
			continue
		}
		v, err := parseUint(value)
		if err != nil {
			return fmt.Errorf("line %.60q: %w", line, err)
		}
		*d = v
	}
	return nil
}

// sub returns a - b, or 0 where that would be negative: two counters are never
// read at the same instant.
func sub(a, b uint64) uint64 {
	if b > a {
		return 0
	}
	return a - b
}

// add returns a + b, or NoLimit where that would overflow.
func add(a, b uint64) uint64 {
	if a > NoLimit-b {
		return NoLimit
	}
	return a + b
}
