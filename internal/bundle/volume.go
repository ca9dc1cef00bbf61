package bundle

import (
	"fmt"
	"path/filepath"
	"strings"
)

// Volume is a file or directory of the host that the container sees.
type Volume struct {
	Source   string // on the host
	Target   string // in the container
	ReadOnly bool
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (v *Volume) UnmarshalText(text []byte) error {
	f := strings.Split(string(text), ":")
	if len(f) == 2 {
		f = append(f, "rw")
	}
	if len(f) != 3 || f[2] != "ro" && f[2] != "rw" {
		return fmt.Errorf("%q is not a volume; write SOURCE:TARGET or SOURCE:TARGET:ro, for example /srv/data:/data:ro", text)
	}
	for _, path := range f[:2] {
		if !filepath.IsAbs(path) {
			return fmt.Errorf("%q: %q is not an absolute path", text, path)
		}
	}
	*v = Volume{Source: f[0], Target: f[1], ReadOnly: f[2] == "ro"}
	if filepath.Clean(v.Target) == "/" {
		return fmt.Errorf("%q: a volume can't be the root of the container; --rootfs can", text)
	}
	return nil
}
