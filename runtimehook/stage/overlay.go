package stage

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// overlay is what an overlay mount consists of, as mountinfo shows it.
type overlay struct {
	lower []string // top to bottom; absolute
	data  []string // data-only layers below them; absolute
	upper string   // "" for a read-only overlay
	work  string
	// options are the others that decide how the layers are read.
	options []string
}

// keptOptions are the options that a second overlay over the same layers needs to
// read them the same way.
var keptOptions = []string{"metacopy", "redirect_dir", "xino", "uuid", "volatile", "userxattr", "verity", "context", "fscontext", "defcontext", "rootcontext"}

var errBackslash = errors.New("backslash in the name of a layer")

// parseOverlay reads the super block options of an overlay that is mounted at
// mountpoint. Values are escaped by the kernel: commas, colons and blanks inside
// a name show as octal numbers.
func parseOverlay(options, mountpoint string) (*overlay, error) {
	o := &overlay{}
	for _, option := range strings.Split(options, ",") {
		key, value, _ := strings.Cut(option, "=")
		if err := o.set(key, value, option); err != nil {
			return nil, fmt.Errorf("overlay option %q: %w", option, err)
		}
	}
	if len(o.lower) == 0 {
		return nil, errors.New("overlay without lower layers")
	}
	if o.upper != "" && filepath.Dir(filepath.Clean(o.upper)) != filepath.Dir(filepath.Clean(o.work)) {
		return nil, fmt.Errorf("upperdir %s and workdir %s of the overlay are not side by side", o.upper, o.work)
	}
	o.resolve(mountpoint)
	return o, nil
}

func (o *overlay) set(key, value, option string) (err error) {
	switch key {
	case "lowerdir":
		merged, data, hasData := strings.Cut(value, "::")
		if o.lower, err = layers(merged, ":"); err != nil || !hasData {
			return err
		}
		o.data, err = layers(data, "::")
	case "lowerdir+":
		return appendLayer(&o.lower, value)
	case "datadir+":
		return appendLayer(&o.data, value)
	case "upperdir":
		o.upper, err = unescape(value)
	case "workdir":
		o.work, err = unescape(value)
	default:
		if slices.Contains(keptOptions, key) {
			o.options = append(o.options, option)
		}
	}
	return err
}

func layers(value, separator string) ([]string, error) {
	var out []string
	for _, escaped := range strings.Split(value, separator) {
		if err := appendLayer(&out, escaped); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func appendLayer(all *[]string, escaped string) error {
	layer, err := unescape(escaped)
	if err == nil && layer == "" {
		err = errors.New("layer without a name")
	}
	*all = append(*all, layer)
	return err
}

// unescape turns \ooo into the byte. A backslash that remains could be a part of
// a name or, on older kernels, of overlay's own escaping; no engine makes either.
func unescape(s string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			continue
		}
		if i+4 > len(s) {
			return "", errBackslash
		}
		c, err := strconv.ParseUint(s[i+1:i+4], 8, 8)
		if err != nil || c == '\\' {
			return "", errBackslash
		}
		b.WriteByte(byte(c))
		i += 3
	}
	return b.String(), nil
}

// resolve makes relative names absolute. Engines shorten long options: docker and
// containers/storage name all layers from the directory that holds the
// containers' (…/ID/merged), containerd only the lower ones, from the directory
// that holds the snapshots (…/N/fs).
func (o *overlay) resolve(mountpoint string) {
	base := filepath.Dir(filepath.Dir(mountpoint))
	if filepath.IsAbs(o.upper) {
		base = filepath.Dir(filepath.Dir(o.upper))
	}
	abs := func(p string) string {
		if p == "" || filepath.IsAbs(p) {
			return p
		}
		return filepath.Join(base, p)
	}
	for _, names := range [][]string{o.lower, o.data} {
		for i := range names {
			names[i] = abs(names[i])
		}
	}
	o.upper, o.work = abs(o.upper), abs(o.work)
}
