package emul

import (
	"fmt"
	"testing"
)

func TestAppendRight8(t *testing.T) {
	for _, v := range []uint64{0, 7, 10, 99999999, 100000000, 34359738367, 1<<64 - 1} {
		if got, want := string(appendRight8([]byte("x"), v)), fmt.Sprintf("x%8d", v); got != want {
			t.Errorf("appendRight8(%d) = %q, want %q", v, got, want)
		}
	}
}

func TestAppendHundredths(t *testing.T) {
	for v, want := range map[uint64]string{0: "0.00", 5: "0.05", 99: "0.99", 12345: "123.45"} {
		if got := string(appendHundredths(nil, v)); got != want {
			t.Errorf("appendHundredths(%d) = %q, want %q", v, got, want)
		}
	}
}
