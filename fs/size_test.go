package fs

import "testing"

func TestShownSize(t *testing.T) {
	var s shownSize
	if got := s.bytes(); got != 4096 {
		t.Errorf("before a render: got %d", got)
	}
	for _, tt := range []struct {
		length  int
		want    uint64
		changes bool
	}{
		{0, 4096, false},
		{4096, 4096, false},
		{4097, 8192, true},
		{8192, 8192, false},
		{8193, 16384, true},
		{16384, 16384, false},
		{100_000, 106496, true},
		{1, 4096, true},
	} {
		if changes := s.set(tt.length); changes != tt.changes || s.bytes() != tt.want {
			t.Errorf("%d bytes: got %d, changed %v, want %d, %v", tt.length, s.bytes(), changes, tt.want, tt.changes)
		}
	}
}
