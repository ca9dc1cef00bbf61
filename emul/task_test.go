package emul

import (
	"errors"
	"slices"
	"testing"
	"time"

	"cloister/cgroupview"
)

func TestTaskStat(t *testing.T) {
	const rest = " 1 1 1 0 -1 4194560 100 0 0 0 1 1 0 0 20 0 1 0 12345 4096 10\n"
	for _, comm := range []string{"sh", "a b", ")", "(", ") R 1 2", "a\nb", ""} {
		stat := []byte("500 (" + comm + ") D" + rest)
		if state, err := taskState(stat); err != nil || state != 'D' {
			t.Errorf("comm %q: state %c, %v, want D", comm, state, err)
		}
		if got, err := taskStart(stat); err != nil || got != 123450*time.Millisecond {
			t.Errorf("comm %q: start %v, %v, want 123.45s", comm, got, err)
		}
	}
	for _, stat := range []string{"", "500", "500 (sh)", "500 (sh) ", "500 (sh)R"} {
		if _, err := taskState([]byte(stat)); !errors.Is(err, cgroupview.ErrFormat) {
			t.Errorf("taskState(%q): %v, want ErrFormat", stat, err)
		}
		if _, err := taskStart([]byte(stat)); !errors.Is(err, cgroupview.ErrFormat) {
			t.Errorf("taskStart(%q): %v, want ErrFormat", stat, err)
		}
	}
}

func TestTaskNSpid(t *testing.T) {
	got, err := taskNSpid([]byte("Name:\tsh\nNStgid:\t7\t1\nNSpid:\t4711\t12\t1\nNSpgid:\t0\n"))
	if want := []int{4711, 12, 1}; err != nil || !slices.Equal(got, want) {
		t.Errorf("NSpid %v, %v, want %v", got, err, want)
	}
	for _, status := range []string{"", "NSpid 1\n", "NSpid:\t1\tx\n"} {
		if _, err := taskNSpid([]byte(status)); !errors.Is(err, cgroupview.ErrFormat) {
			t.Errorf("taskNSpid(%q): %v, want ErrFormat", status, err)
		}
	}
}

func FuzzTask(f *testing.F) {
	f.Add([]byte("500 (a) b) R 1 1 1 0 -1 4194560 100 0 0 0 1 1 0 0 20 0 1 0 12345 4096 10\n"))
	f.Add([]byte("NSpid:\t4711\t12\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = taskState(b)
		if start, err := taskStart(b); err == nil && start < 0 {
			t.Fatalf("start %v", start)
		}
		_, _ = taskNSpid(b)
	})
}
