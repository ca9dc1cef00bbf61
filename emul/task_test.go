package emul

import (
	"errors"
	"testing"
	"time"

	"cloister/cgroupview"
)

func TestTaskStart(t *testing.T) {
	const rest = " 1 1 1 0 -1 4194560 100 0 0 0 1 1 0 0 20 0 1 0 12345 4096 10\n"
	for _, comm := range []string{"sh", "a b", ")", "(", ") R 1 2", "a\nb", ""} {
		stat := []byte("500 (" + comm + ") D" + rest)
		if got, err := taskStart(stat); err != nil || got != 123450*time.Millisecond {
			t.Errorf("comm %q: start %v, %v, want 123.45s", comm, got, err)
		}
	}
	for _, stat := range []string{"", "500", "500 (sh)", "500 (sh) ", "500 (sh)R", "500 (sh) R"} {
		if _, err := taskStart([]byte(stat)); !errors.Is(err, cgroupview.ErrFormat) {
			t.Errorf("taskStart(%q): %v, want ErrFormat", stat, err)
		}
	}
}

func FuzzTaskStart(f *testing.F) {
	f.Add([]byte("500 (a) b) R 1 1 1 0 -1 4194560 100 0 0 0 1 1 0 0 20 0 1 0 12345 4096 10\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if start, err := taskStart(b); err == nil && start < 0 {
			t.Fatalf("start %v", start)
		}
	})
}
