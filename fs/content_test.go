package fs

import (
	"bytes"
	"fmt"
	"strconv"
	"sync/atomic"
)

// renderFunc is a Content.
type renderFunc func(dst []byte, slot Slot, file int) ([]byte, error)

func (f renderFunc) Render(dst []byte, slot Slot, ref Ref) ([]byte, error) {
	return f(dst, slot, ref.File)
}

func (f renderFunc) Members(Slot, int) ([]int, error) { return nil, nil }

// editions is a Content whose every render is another edition: a number of
// lines that differs from edition to edition, all with the edition's number.
type editions struct {
	last atomic.Uint64
}

func (e *editions) Members(Slot, int) ([]int, error) { return nil, nil }

func (e *editions) Render(dst []byte, _ Slot, _ Ref) ([]byte, error) {
	n := e.last.Add(1)
	for range 40 + n%8 {
		dst = fmt.Appendf(dst, "edition %020d\n", n)
	}
	return append(dst, "end\n"...), nil
}

// checkEdition returns the number of the edition that content is, whole and
// without a line of another one.
func checkEdition(content []byte) (uint64, error) {
	lines := bytes.Split(content, []byte("\n"))
	if len(lines) < 3 || string(lines[len(lines)-2]) != "end" || len(lines[len(lines)-1]) != 0 {
		return 0, fmt.Errorf("torn: %d bytes do not end with the last line", len(content))
	}
	lines = lines[:len(lines)-2]
	for i, line := range lines {
		if !bytes.Equal(line, lines[0]) {
			return 0, fmt.Errorf("torn: line %d is %q after %q", i+1, line, lines[0])
		}
	}
	n, err := strconv.ParseUint(string(bytes.TrimPrefix(lines[0], []byte("edition "))), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("torn: first line is %q", lines[0])
	}
	if want := 40 + int(n%8); len(lines) != want {
		return 0, fmt.Errorf("torn: edition %d has %d lines, want %d", n, len(lines), want)
	}
	return n, nil
}
