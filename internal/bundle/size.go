package bundle

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
)

// Size is a number of bytes.
type Size int64

// sizePattern is docker's: a number, a unit, and the letters that people write
// after the unit.
var sizePattern = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?) ?([kmgt]?)(?:i?b)?$`)

var units = map[string]float64{"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Size) UnmarshalText(text []byte) error {
	f := sizePattern.FindStringSubmatch(strings.ToLower(string(text)))
	if f == nil {
		return fmt.Errorf("%q is not a size; write for example 256m, 1.5g or a number of bytes", text)
	}
	n, err := strconv.ParseFloat(f[1], 64)
	n *= units[f[2]]
	if err != nil || n >= math.MaxInt64 {
		return fmt.Errorf("%q is too much", text)
	}
	if n < 1 {
		return fmt.Errorf("%q is not a size: it must be more than 0", text)
	}
	*s = Size(n)
	return nil
}

// SwapSize is the size of memory and swap together, or Unlimited.
type SwapSize Size

// Unlimited lets a container have all of the host's swap.
const Unlimited SwapSize = -1

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *SwapSize) UnmarshalText(text []byte) error {
	if string(text) == "-1" {
		*s = Unlimited
		return nil
	}
	if err := (*Size)(s).UnmarshalText(text); err != nil {
		return fmt.Errorf("%w; -1 is for unlimited swap", err)
	}
	return nil
}
