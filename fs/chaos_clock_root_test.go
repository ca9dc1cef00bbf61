//go:build root

package fs

import (
	"bytes"
	"fmt"
	"math/rand/v2"

	"golang.org/x/sys/unix"
)

// clockwork is a Content whose editions are numbered by a clock that all processes
// share: what is later has a higher number. Some renders go aside as slow ones do.
type clockwork struct{}

func monotonic() uint64 {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		panic(err)
	}
	return uint64(now.Nano())
}

func (clockwork) Members(Slot, int) ([]int, error) { return nil, nil }

func (c clockwork) TryRender(dst []byte, slot Slot, ref Ref) ([]byte, bool) {
	if ref.File == 1 || rand.IntN(64) == 0 {
		return nil, false
	}
	content, err := c.Render(dst, slot, ref)
	return content, err == nil
}

// Render of file 2 gives content that is too long for a lease now and then.
func (clockwork) Render(dst []byte, _ Slot, ref Ref) ([]byte, error) {
	n := monotonic()
	lines := 40 + n%8
	if ref.File == 2 && n%5 == 0 {
		lines += 8 * 20
	}
	return appendClock(dst, n, lines), nil
}

// appendClock appends lines with the number, and how many there are.
func appendClock(dst []byte, n, lines uint64) []byte {
	for range lines {
		dst = fmt.Appendf(dst, "%020d %04d\n", n, lines)
	}
	return append(dst, "end\n"...)
}

// checkClock returns the number of what is whole and of one edition.
func checkClock(content []byte) (uint64, error) {
	var n, lines uint64
	if _, err := fmt.Sscanf(string(content[:min(len(content), 26)]), "%d %d\n", &n, &lines); err != nil {
		return 0, fmt.Errorf("torn: %d bytes begin with %q", len(content), content[:min(len(content), 40)])
	}
	if want := appendClock(nil, n, lines); !bytes.Equal(content, want) {
		i := 0
		for i < min(len(content), len(want)) && content[i] == want[i] {
			i++
		}
		return 0, fmt.Errorf("torn: %d bytes instead of %d, from %d on %q", len(content), len(want), i, content[i:min(len(content), i+60)])
	}
	return n, nil
}
