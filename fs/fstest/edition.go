package fstest

import (
	"bytes"
	"fmt"
	"strconv"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Editions are what a file says, one after the other.
type Editions struct {
	last atomic.Int64
}

// Next returns the number of a new edition, which is the time or a bit more.
func (e *Editions) Next() uint64 {
	for {
		last, now := e.last.Load(), Now()
		now = max(now, last+1)
		if e.last.CompareAndSwap(last, now) {
			return uint64(now)
		}
	}
}

// Now is the time that editions are numbered by, in nanoseconds. It is the same in all
// processes.
func Now() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic(err) // every kernel has this clock
	}
	return ts.Nano()
}

// Append appends an edition of some more lines than given. How many more differs from
// edition to edition.
func Append(dst []byte, edition uint64, lines int) []byte {
	lines += int(edition % 8)
	dst = append(dst, bytes.Repeat(fmt.Appendf(nil, "edition %020d\n", edition), lines)...)
	return fmt.Appendf(dst, "end %d %d\n", edition, lines)
}

// Parse returns the number of the edition that content is, whole and without a line of
// another one.
func Parse(content []byte) (edition uint64, err error) {
	lines := bytes.Split(content, []byte("\n"))
	if len(lines) < 2 || len(lines[len(lines)-1]) != 0 {
		return 0, fmt.Errorf("torn: %d bytes do not end with a line", len(content))
	}
	end := lines[len(lines)-2]
	lines = lines[:len(lines)-2]
	for i, line := range lines {
		if !bytes.Equal(line, lines[0]) {
			return 0, fmt.Errorf("torn: line %d is %q after %q", i+1, line, lines[0])
		}
	}
	if len(lines) > 0 {
		edition, err = strconv.ParseUint(string(bytes.TrimPrefix(lines[0], []byte("edition "))), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("torn: first line is %q", lines[0])
		}
	}
	if want := fmt.Sprintf("end %d %d", edition, len(lines)); string(end) != want {
		return 0, fmt.Errorf("torn: last line is %q, want %q", end, want)
	}
	return edition, nil
}
