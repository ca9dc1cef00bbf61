package cgroupview

import "path/filepath"

// Root is the directory under which the host's / is seen: "/" on a host, some
// other directory in tests. The empty Root is "/".
type Root string

// Path joins elem to the root.
func (r Root) Path(elem ...string) string {
	return filepath.Join("/", string(r), filepath.Join(elem...))
}
