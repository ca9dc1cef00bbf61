package emul

import "strconv"

// renderSwaps renders /proc/swaps, as swap_show in mm/swapfile.c does: one line
// for all the swap space that the container can use, whatever devices it is
// made of on the host, and none without any. Used is what SwapTotal and SwapFree
// of meminfo leave.
func renderSwaps(dst []byte, v *view, _ input) []byte {
	dst = append(dst, "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"...)
	total := v.memory.swapTotal >> 10
	if total == 0 {
		return dst
	}
	dst = appendPadded(dst, "none", 40)
	dst = append(dst, "virtual\t"...)
	dst = appendSwapSize(dst, total)
	dst = appendSwapSize(dst, total-v.memory.swapFree>>10)
	return append(dst, "\t0\n"...)
}

// appendSwapSize appends one column, to which the kernel adds a second tab if it
// has fewer than eight digits.
func appendSwapSize(dst []byte, kib uint64) []byte {
	dst = strconv.AppendUint(append(dst, '\t'), kib, 10)
	if kib < 10000000 {
		dst = append(dst, '\t')
	}
	return dst
}
