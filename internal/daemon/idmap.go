package daemon

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"cloister/runtimehook/idrange"
)

// mapping is a line of /proc/<pid>/uid_map: ids of the container, of the host, and
// how many.
type mapping struct{ inside, outside, size uint32 }

func readMap(pid int, file string) ([]mapping, error) {
	path := fmt.Sprintf("/proc/%d/%s", pid, file)
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	m, err := parseMap(string(data))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

func parseMap(text string) ([]mapping, error) {
	var out []mapping
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) != 3 {
			return nil, fmt.Errorf("line %q does not have three fields", line)
		}
		var n [3]uint32
		for i := range n {
			v, err := strconv.ParseUint(f[i], 10, 32)
			if err != nil {
				return nil, err
			}
			n[i] = uint32(v)
		}
		out = append(out, mapping{n[0], n[1], n[2]})
	}
	if len(out) == 0 {
		return nil, errors.New("the user namespace has no mapping")
	}
	return out, nil
}

// verifyMaps makes sure that the ids of a process are the promised range.
func verifyMaps(pid int, want idrange.Range) error {
	for _, file := range []string{"uid_map", "gid_map"} {
		m, err := readMap(pid, file)
		if err != nil {
			return err
		}
		if len(m) != 1 || m[0] != (mapping{0, want.Start, want.Size}) {
			return fmt.Errorf("%s of the container is %v, promised was the range %v", file, m, want)
		}
	}
	return nil
}

// engineRange returns the range that an engine gave a container itself: that of
// its root, after making sure that no id of it is the host's root.
func engineRange(pid int) (idrange.Range, error) {
	var root idrange.Range
	for _, file := range []string{"gid_map", "uid_map"} {
		maps, err := readMap(pid, file)
		if err != nil {
			return root, err
		}
		for _, m := range maps {
			if m.outside == 0 {
				return root, fmt.Errorf("%s of the container maps id %d to the host's root", file, m.inside)
			}
			if m.inside == 0 {
				root = idrange.Range{Start: m.outside, Size: m.size}
			}
		}
	}
	if root.Size == 0 {
		return root, errors.New("uid_map of the container has no root")
	}
	return root, nil
}
