package mounter

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// options are those of the last argument of mount(2).
type options struct {
	readOnly bool
	list     [][2]string
}

// flagOptions are without a value, for every file system. But for one they mean nothing
// to proc and sysfs.
var flagOptions = []string{"ro", "rw", "sync", "async", "dirsync", "lazytime", "nolazytime", "mand", "nomand"}

// procOptions are handed on to the kernel. Others could name files, and would mean the
// mounter's. subset is refused, as by kernels before Linux 5.8: on a proc that shows
// processes alone there is no place for a view or mask, and the kernel would take it for
// one with nothing to hide and let the container mount others by itself.
var procOptions = []string{"hidepid", "gid"}

// parseOptions splits the page of data that mount(2) has, as the kernel does
// (generic_parse_monolithic in fs/fs_context.c). What is unknown is refused with EINVAL,
// as by the kernel. groups translates the number of a group.
func parseOptions(fstype string, data []byte, groups func(uint32) (uint32, bool)) (options, error) {
	var o options
	text, _, _ := bytes.Cut(data, []byte{0})
	for item := range strings.SplitSeq(string(text), ",") {
		key, value, hasValue := strings.Cut(item, "=")
		switch {
		case key == "":
			continue // the kernel ignores it
		case slices.Contains(flagOptions, key):
			switch key {
			case "ro":
				o.readOnly = true
			case "rw":
				o.readOnly = false
			}
			continue
		case !hasValue || fstype != typeProc || !slices.Contains(procOptions, key):
			return options{}, unix.EINVAL
		}
		if key == "gid" {
			id, ok := parseID(value)
			if ok {
				id, ok = groups(id)
			}
			if !ok {
				return options{}, unix.EINVAL
			}
			value = strconv.FormatUint(uint64(id), 10)
		}
		o.list = append(o.list, [2]string{key, value})
	}
	return o, nil
}

// parseID reads a number like the kernel's kstrtouint with base 0.
func parseID(text string) (uint32, bool) {
	text = strings.TrimPrefix(strings.TrimSuffix(text, "\n"), "+")
	base := 10
	switch {
	case len(text) > 2 && (strings.HasPrefix(text, "0x") || strings.HasPrefix(text, "0X")):
		base, text = 16, text[2:]
	case len(text) > 1 && text[0] == '0':
		base = 8
	}
	id, err := strconv.ParseUint(text, base, 32)
	return uint32(id), err == nil
}

// mapping translates ids of a user namespace (user_namespaces(7)) to the mounter's.
type mapping [][3]uint32 // first id inside, first id outside, how many

// parseMapping reads /proc/<tid>/gid_map.
func parseMapping(text []byte) (m mapping, err error) {
	for line := range bytes.Lines(text) {
		all, err := ids(bytes.Fields(line))
		if err != nil || len(all) != 3 {
			return nil, errStatus
		}
		m = append(m, [3]uint32(all))
	}
	return m, nil
}

// outside returns an id as the mounter knows it; false if there is none.
func (m mapping) outside(id uint32) (uint32, bool) {
	for _, r := range m {
		if id >= r[0] && id-r[0] < r[2] {
			return r[1] + (id - r[0]), true
		}
	}
	return 0, false
}
