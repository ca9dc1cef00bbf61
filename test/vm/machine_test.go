//go:build vm

package vm

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

// TestMachine runs scripts in a guest without anything else.
func TestMachine(t *testing.T) {
	cache, err := OpenCache()
	if err != nil {
		t.Fatal(err)
	}
	kernel, err := cache.Kernel(t.Context(), "bookworm")
	need(t, err)
	busybox, err := cache.Busybox(t.Context())
	need(t, err)
	g := bootGuest(t, &Guest{Kernel: kernel, Busybox: busybox, Swap: 16 * mebibyte, CPUs: 1, Memory: 256})

	long := strings.Repeat("0123456789abcde\n", 64<<10/16)
	for _, tt := range []struct {
		name, script, want string
		status             int
	}{
		{"nothing", "true", "", 0},
		{"exit status", "exit 3", "", 3},
		{"killed", "kill -9 $$", "Killed\n", 137},
		{"output and errors", "echo out; echo err >&2", "out\nerr\n", 0},
		{"no newline at the end", "printf %s text", "text", 0},
		{"quotes and lines", "x='a  \"b\"'\necho \"$x\"\n", "a  \"b\"\n", 0},
		{"long output", "i=0; while [ $i -lt 4096 ]; do echo 0123456789abcde; i=$((i+1)); done", long, 0},
		{"long script", "cat <<end\n" + long + "end\n", long, 0},
		{"standard input", "cat", "", 0},
		{"unified hierarchy", "grep cgroup /proc/mounts | cut -d ' ' -f 2,3", "/sys/fs/cgroup cgroup2\n", 0},
		{"disk", "grep ' /data ' /proc/mounts | cut -d ' ' -f 3", "ext4\n", 0},
		{"swap", "tail -n +2 /proc/swaps | cut -d ' ' -f 1", "/dev/vdb\n", 0},
		{"loopback", "ip -o link show lo up | wc -l", "1\n", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out, status := g.try(t, tt.script)
			if out != tt.want || status != tt.status {
				t.Errorf("got %.200q and exit status %d, want %.200q and %d", out, status, tt.want, tt.status)
			}
		})
	}
	t.Run("deadline", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if status, err := g.Run(ctx, io.Discard, "sleep 1000"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got exit status %d and error %v, want %v", status, err, context.DeadlineExceeded)
		}
		if _, err := g.Run(t.Context(), io.Discard, "true"); err == nil {
			t.Error("the machine runs after the deadline")
		}
	})
}
