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

// firstForeign is the first id of the host that may be a container's; those before
// are its users' and services'.
const firstForeign = 65536

// engineRange returns the range that an engine gave a container itself.
func engineRange(pid int) (idrange.Range, error) {
	m, err := readMap(pid, "uid_map")
	if err != nil {
		return idrange.Range{}, err
	}
	if m[0].outside == 0 {
		return idrange.Range{}, errors.New("the container's ids are the host's, root's among them; its engine has to give it a user namespace of its own")
	}
	if len(m) != 1 || m[0].inside != 0 || m[0].outside < firstForeign {
		return idrange.Range{}, fmt.Errorf("uid_map of the container is %v, which is not one range of ids from 0, mapped to ids of the host from %d on", m, firstForeign)
	}
	ids := idrange.Range{Start: m[0].outside, Size: m[0].size}
	return ids, verifyMaps(pid, ids)
}
