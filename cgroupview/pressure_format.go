package cgroupview

import "fmt"

// Each # stands for a number.
const (
	pressureSome = "some avg10=#.# avg60=#.# avg300=#.# total=#\n"
	pressureFull = "full avg10=#.# avg60=#.# avg300=#.# total=#\n"
)

// checkPressure checks a pressure file: a line for the share of time in which some
// task was stalled and one in which all of them were. Older kernels have none of
// the latter for cpu, and irq has none of the former.
func checkPressure(text []byte) error {
	rest, some := cutPattern(text, pressureSome)
	rest, full := cutPattern(rest, pressureFull)
	if len(rest) > 0 || !some && !full {
		return fmt.Errorf("pressure %.80q: %w", rest, ErrFormat)
	}
	return nil
}

// cutPattern returns what follows the pattern, or text itself and false if it does
// not begin with it.
func cutPattern(text []byte, pattern string) ([]byte, bool) {
	rest := text
	for i := range len(pattern) {
		n := 0
		if pattern[i] == '#' {
			n = countDigits(rest)
		} else if len(rest) > 0 && rest[0] == pattern[i] {
			n = 1
		}
		if n == 0 {
			return text, false
		}
		rest = rest[n:]
	}
	return rest, true
}

func countDigits(b []byte) int {
	for i, c := range b {
		if c < '0' || c > '9' {
			return i
		}
	}
	return len(b)
}
