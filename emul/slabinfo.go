package emul

import (
	"bytes"
	"fmt"

	"cloister/cgroupview"
)

// parseSlabinfo returns the two lines, with the version of the format and the names of
// the columns, that the host's /proc/slabinfo begins with (mm/slab_common.c). The rest
// is the host's caches.
func parseSlabinfo(b []byte) (string, error) {
	version, rest, _ := bytes.Cut(b, []byte{'\n'})
	columns, _, _ := bytes.Cut(rest, []byte{'\n'})
	if !bytes.HasPrefix(version, []byte("slabinfo - version:")) || !bytes.HasPrefix(columns, []byte("# name")) {
		return "", fmt.Errorf("header %.60q: %w", version, cgroupview.ErrFormat)
	}
	return string(version) + "\n" + string(columns) + "\n", nil
}

// renderSlabinfo renders /proc/slabinfo without any cache: the kernel does not count
// them per cgroup.
func renderSlabinfo(dst []byte, _ *view, header string, _ input) []byte {
	return append(dst, header...)
}
