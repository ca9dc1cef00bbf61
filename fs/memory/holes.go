package memory

import (
	"errors"
	"fmt"
	"iter"
	"os"

	"golang.org/x/sys/unix"
)

// section is a part of a file.
type section struct {
	from, to int64
}

// dataSections yields what of a section is not a hole: looking at a hole through a
// mapping would fill it with memory. The error is set when the iteration is over.
func dataSections(f *os.File, whole section, err *error) iter.Seq[section] {
	fd := int(f.Fd())
	return func(yield func(section) bool) {
		for at := whole.from; at < whole.to; {
			data, e := unix.Seek(fd, at, unix.SEEK_DATA)
			if errors.Is(e, unix.ENXIO) { // nothing but a hole
				return
			}
			if e != nil {
				*err = fmt.Errorf("seek data: %w", e)
				return
			}
			if data >= whole.to {
				return
			}
			if at, e = unix.Seek(fd, data, unix.SEEK_HOLE); e != nil {
				*err = fmt.Errorf("seek hole: %w", e)
				return
			}
			if !yield(section{data, min(at, whole.to)}) {
				return
			}
		}
	}
}
