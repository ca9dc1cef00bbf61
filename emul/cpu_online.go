package emul

import "strconv"

// renderCPUOnline renders /sys/devices/system/cpu/online, a CPU list: "0" or
// "0-(n-1)".
func renderCPUOnline(dst []byte, v *view, _ input) []byte {
	dst = append(dst, '0')
	if v.cpus.visible > 1 {
		dst = strconv.AppendInt(append(dst, '-'), int64(v.cpus.visible-1), 10)
	}
	return append(dst, '\n')
}
