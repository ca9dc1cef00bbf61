package emul

import (
	"bytes"
	"fmt"
	"strings"

	"cloister/cgroupview"
)

// parseSoftirqs returns the names, with what they are set in, of the rows of the host's
// /proc/softirqs: "      TASKLET:".
func parseSoftirqs(b []byte) ([]string, error) {
	header, rest, _ := bytes.Cut(b, []byte{'\n'})
	if !bytes.HasPrefix(bytes.TrimLeft(header, " "), []byte("CPU")) {
		return nil, fmt.Errorf("CPUs %.60q: %w", header, cgroupview.ErrFormat)
	}
	var labels []string
	for line := range strings.Lines(string(rest)) {
		name, _, ok := strings.Cut(line, ":")
		if !ok {
			return nil, fmt.Errorf("line %.60q: %w", line, cgroupview.ErrFormat)
		}
		labels = append(labels, name+":")
	}
	return labels, nil
}

// renderSoftirqs renders /proc/softirqs, fs/proc/softirqs.c. The kernel does not count
// them per cgroup.
func renderSoftirqs(dst []byte, v *view, labels []string, _ input) []byte {
	dst = append(dst, spaces[:20]...)
	dst = appendCPUColumns(dst, v.cpus.visible)
	for _, label := range labels {
		dst = append(dst, label...)
		dst = appendZeroColumns(dst, v.cpus.visible)
		dst = append(dst, '\n')
	}
	return dst
}
