package daemon

import (
	"slices"
	"testing"

	"cloister/internal/sealed"
)

// What a container has had of views that are no more is the host's now, unless it must
// not see that.
func TestReplan(t *testing.T) {
	now := []sealed.View{{Path: "proc/stat"}, {Path: "sys/devices/system/cpu"}, {Path: "proc/uptime"}}
	before := &sealed.Plan{Masked: []string{"proc/kcore"}, ReadOnly: []string{"proc/sys"}}
	tests := []struct {
		name   string
		had    []string
		before *sealed.Plan
		views  []string
		masked []string // of those that are not always
	}{
		{"all are there", []string{"proc/stat", "sys/devices/system/cpu"}, before, []string{"proc/stat", "sys/devices/system/cpu"}, nil},
		{"switched off", []string{"proc/meminfo", "proc/stat"}, before, []string{"proc/stat"}, nil},
		{"now part of another", []string{"sys/devices/system/cpu/online"}, before, nil, nil},
		{"masked without its view", []string{"proc/interrupts", "proc/stat"}, before, []string{"proc/stat"}, []string{"proc/interrupts"}},
		{"none before", nil, before, nil, nil},
		{"of another version", []string{"proc/stat"}, nil, []string{"proc/stat"}, []string{"proc/interrupts"}},
	}
	for _, tt := range tests {
		plan := replan(tt.had, tt.before, now)
		var views []string
		for _, v := range plan.Views {
			views = append(views, v.Path)
		}
		if !slices.Equal(views, tt.views) {
			t.Errorf("%s: views %q, want %q", tt.name, views, tt.views)
		}
		for _, path := range append(tt.masked, "proc/kcore") {
			if !slices.Contains(plan.Masked, path) {
				t.Errorf("%s: %s is not masked: %q", tt.name, path, plan.Masked)
			}
		}
		if tt.masked == nil && slices.Contains(plan.Masked, "proc/interrupts") {
			t.Errorf("%s: masked %q", tt.name, plan.Masked)
		}
	}
	if len(before.Masked) != 1 {
		t.Errorf("the plan of before has changed: %q", before.Masked)
	}
}
