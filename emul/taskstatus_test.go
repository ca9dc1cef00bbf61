package emul

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cloister/cgroupview"
)

func TestTaskStatus(t *testing.T) {
	const status = "Name:\tState:\nState:\tD (disk sleep)\nNStgid:\t7\t1\nNSpid:\t4711\t12\t1\nNSpgid:\t0\n" +
		"voluntary_ctxt_switches:\t150\nnonvoluntary_ctxt_switches:\t7\n"
	whole := taskStatus{state: 'D', ids: []int{4711, 12, 1}, switches: 157, counted: true}
	for _, tt := range []struct {
		name, text string
		want       taskStatus
	}{
		{"whole", status, whole},
		{"cut in the last number", status[:len(status)-1], taskStatus{state: 'D', ids: []int{4711, 12, 1}, switches: 150}},
		{"cut before NSpid", status[:strings.Index(status, "NSpid")], taskStatus{state: 'D', ids: []int{}}},
		{"empty", "", taskStatus{ids: []int{}}},
		{"no state", "State:\t\n", taskStatus{state: ' ', ids: []int{}}},
	} {
		got := taskStatus{state: 'x', ids: []int{9, 9, 9}, switches: 99, counted: true}
		if err := got.parse([]byte(tt.text)); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(taskStatus{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
	for _, text := range []string{"NSpid:\t1\tx\n", "voluntary_ctxt_switches:\tx\n", "nonvoluntary_ctxt_switches:\t-1\n"} {
		if err := new(taskStatus).parse([]byte(text)); !errors.Is(err, cgroupview.ErrFormat) {
			t.Errorf("parse(%q): %v, want ErrFormat", text, err)
		}
	}
}

func FuzzTaskStatus(f *testing.F) {
	f.Add([]byte("Name:\ta\nState:\tR (running)\nNSpid:\t4711\t12\nvoluntary_ctxt_switches:\t1\nnonvoluntary_ctxt_switches:\t2\n"))
	f.Fuzz(func(_ *testing.T, b []byte) { _ = new(taskStatus).parse(b) })
}
