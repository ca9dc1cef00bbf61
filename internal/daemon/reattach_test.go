package daemon

import (
	"slices"
	"testing"

	"cloister/internal/sealed"
)

func TestDroppedViews(t *testing.T) {
	now := []sealed.View{{Path: "proc/stat"}, {Path: "sys/devices/system/cpu"}}
	tests := []struct {
		name      string
		had, want []string
	}{
		{"all are there", []string{"proc/stat", "sys/devices/system/cpu"}, nil},
		{"switched off", []string{"proc/meminfo", "proc/stat"}, []string{"proc/meminfo"}},
		{"now part of another", []string{"sys/devices/system/cpu/online"}, []string{"sys/devices/system/cpu/online"}},
		{"masked without its view", []string{"proc/interrupts", "proc/stat"}, nil},
		{"none before", nil, nil},
	}
	for _, tt := range tests {
		if got := dropped(tt.had, now); !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}
