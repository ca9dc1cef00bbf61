package emul

import "strconv"

const spaces = "                                        "

// appendPadded appends s and pads it with spaces to a width of at most 40.
func appendPadded(dst []byte, s string, width int) []byte {
	dst = append(dst, s...)
	return append(dst, spaces[:max(0, width-len(s))]...)
}

// appendRight8 appends v, right-aligned to a width of 8 or more.
func appendRight8(dst []byte, v uint64) []byte {
	if v >= 1e8 {
		return strconv.AppendUint(dst, v, 10)
	}
	dst = append(dst, spaces[:8]...)
	for i := len(dst) - 1; ; i-- {
		dst[i] = '0' + byte(v%10)
		if v /= 10; v == 0 {
			return dst
		}
	}
}

// appendUints appends the numbers, a space before each.
func appendUints(dst []byte, values ...uint64) []byte {
	for _, v := range values {
		dst = strconv.AppendUint(append(dst, ' '), v, 10)
	}
	return dst
}

// appendHundredths appends v/100 with two decimals.
func appendHundredths(dst []byte, v uint64) []byte {
	dst = strconv.AppendUint(dst, v/100, 10)
	return append(dst, '.', '0'+byte(v/10%10), '0'+byte(v%10))
}
