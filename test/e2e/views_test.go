//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"cloister/cgroupview"
	"cloister/internal/api"
	"cloister/internal/sealed"
)

var uuid = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

// TestBundleIdentity: each start of a container has a boot id of its own, and it stays.
func TestBundleIdentity(t *testing.T) {
	eachRuntime(t, func(t *testing.T, e bundleEngine) {
		script := "cat /proc/sys/kernel/random/boot_id; cat /proc/sys/kernel/random/boot_id"
		b := e.newBundle(t, options{}, script)
		first := strings.Fields(b.run().out(t))
		again := strings.Fields(b.run().out(t))
		host, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
		if err != nil {
			t.Fatal(err)
		}
		if len(first) != 2 || len(again) != 2 || first[0] != first[1] || !uuid.MatchString(first[0]) {
			t.Fatalf("boot ids of one start: %q, of the next: %q", first, again)
		}
		if first[0] == again[0] || first[0] == strings.TrimSpace(string(host)) {
			t.Errorf("boot ids %q, then %q, the host's is %s", first, again, host)
		}
	})
}

// TestBundleCPUDirectory: what programs find below /sys/devices/system agrees with the
// limits and with /proc.
func TestBundleCPUDirectory(t *testing.T) {
	eachRuntime(t, func(t *testing.T, e bundleEngine) {
		for _, privileged := range []bool{false, true} {
			b := e.newBundle(t, options{cpus: "0.5", privileged: privileged}, `
				cd /sys/devices/system/cpu
				cat online possible present
				ls -d cpu[0-9]*
				cat cpu0/topology/core_siblings_list
				cat cpu1/topology/core_id 2>/dev/null || echo none
				cat ../node/node*/cpulist
				grep -c ^processor /proc/cpuinfo
				grep -c ^cpu[0-9] /proc/stat
				head -n 1 /proc/softirqs | wc -w
				head -n 1 /proc/interrupts | wc -w
				echo x > online || true`)
			r := b.run()
			want := "0\n0\n0\ncpu0\n0\nnone\n0\n1\n1\n1\n1"
			if got := r.out(t); got != want {
				t.Errorf("privileged %v: got %q, want %q", privileged, got, want)
			}
			if !strings.Contains(r.stderr, "Read-only file system") {
				t.Errorf("write to a view: %q", r.stderr)
			}
		}
	})
}

// TestBundleNothingOfTheHost: files that count what the whole host does count nothing of
// it in a container that has done next to nothing.
func TestBundleNothingOfTheHost(t *testing.T) {
	eachRuntime(t, func(t *testing.T, e bundleEngine) {
		r := e.run(t, options{memory: "64m"}, `
			awk '/^ *[A-Z]/ { for (i = 2; i <= NF && $i ~ /^[0-9]+$/; i++) n += $i } END { print n + 0 }' /proc/interrupts /proc/softirqs
			awk '/managed/ { n += $2 } END { print n * 4 }' /proc/zoneinfo
			awk '$1 == "nr_free_pages" { print $2 * 4 <= 65536 }' /proc/vmstat
			awk '$1 == "pgfault" { print $2 < 100000 }' /proc/vmstat
			wc -l < /proc/slabinfo
			grep -c . /proc/partitions
			awk '$1 == "ctxt" { print $2 < 100000 }' /proc/stat
			cat /sys/devices/system/node/node*/meminfo | awk '/MemTotal/ { n += $4 } END { print n }'
			cat /proc/key-users /proc/keys /proc/timer_list /proc/buddyinfo | wc -c
			ls -A /sys/kernel/debug /sys/kernel/tracing | wc -w
			cat /sys/kernel/mm/transparent_hugepage/enabled >/dev/null && echo readable`)
		lines := strings.Split(r.out(t), "\n")
		want := []string{"0", "65536", "1", "1", "2", "1", "1", "65536", "0", "*", "readable"}
		if len(lines) != len(want) {
			t.Fatalf("got %d answers: %v", len(lines), r)
		}
		for i := range want {
			if want[i] != "*" && lines[i] != want[i] {
				t.Errorf("answer %d is %s, want %s", i+1, lines[i], want[i])
			}
		}
	})
}

// TestBundlePressure: a container sees the pressure of its own cgroup, and may wait for
// it. With cgroup v1 there is none to be seen, and nothing of the host's.
func TestBundlePressure(t *testing.T) {
	if _, err := os.Stat("/proc/pressure"); errors.Is(err, os.ErrNotExist) {
		t.Skip("the kernel counts no pressure")
	}
	eachRuntime(t, func(t *testing.T, e bundleEngine) {
		b := e.newBundle(t, options{cpus: "0.1"}, `
			probe pressure
			cat /proc/pressure/cpu | sed 's/[0-9.]*$//;s/=[0-9.]*/=/g'`)
		r := b.run()
		if !pressureCounted(t) {
			if !strings.Contains(r.stderr, "Operation not supported") || strings.Contains(r.stdout, "some") {
				t.Errorf("pressure of whom? %v", r)
			}
			return
		}
		got := r.out(t)
		want := "no-trigger EINVAL\nprivileged-window EINVAL\ntrigger ALLOWED\nsecond-trigger EBUSY\nevent ALLOWED\n" +
			"some avg10= avg60= avg300= total=\nfull avg10= avg60= avg300= total="
		if got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	})
}

// pressureCounted tells whether cgroups of containers have pressure files.
func pressureCounted(t *testing.T) bool {
	t.Helper()
	layout, err := cgroupview.Detect("/")
	if err != nil {
		t.Fatal(err)
	}
	return layout.Mode() == cgroupview.Unified
}

// TestBundleEmptyDirectories are the container's own and can be mounted on.
func TestBundleEmptyDirectories(t *testing.T) {
	eachRuntime(t, func(t *testing.T, e bundleEngine) {
		r := e.run(t, options{privileged: true}, `
			for d in debug tracing security config; do
				[ -d /sys/kernel/$d ] || continue
				ls -A /sys/kernel/$d | wc -w | tr '\n' ' '
				stat -c %u /sys/kernel/$d | tr '\n' ' '
				mount -t tmpfs none /sys/kernel/$d && touch /sys/kernel/$d/file && echo mounted
			done`)
		for line := range strings.SplitSeq(r.out(t), "\n") {
			if line != "0 0 mounted" {
				t.Errorf("got %q", line)
			}
		}
	})
}

// TestBundleLiveLimits: what somebody writes into the container's cgroup shows at the
// next read, in every file.
func TestBundleLiveLimits(t *testing.T) {
	eachRuntime(t, func(t *testing.T, e bundleEngine) {
		b := e.newBundle(t, options{memory: "64m"}, "sleep 1000")
		b.detached("run", "--detach")
		file := ""
		for _, pattern := range []string{"/sys/fs/cgroup/memory%s/memory.limit_in_bytes", "/sys/fs/cgroup%s/memory.max"} {
			if f := fmt.Sprintf(pattern, b.spec.Linux.CgroupsPath); exists(f) {
				file = f
			}
		}
		for _, mib := range []int{96, 48, 80} {
			if err := os.WriteFile(file, []byte(strconv.Itoa(mib<<20)), 0); err != nil {
				t.Fatal(err)
			}
			got := b.call("exec", b.id, "sh", "-c", `
				awk '/MemTotal/ { print $2 }' /proc/meminfo
				awk '/managed/ { n += $2 } END { print n * 4 }' /proc/zoneinfo
				cat /sys/devices/system/node/node*/meminfo | awk '/MemTotal/ { n += $4 } END { print n }'`).out(t)
			want := strconv.Itoa(mib << 10)
			if lines := strings.Fields(got); len(lines) != 3 || slices.ContainsFunc(lines, func(l string) bool { return l != want }) {
				t.Errorf("limit of %d MiB: got %q, want %s", mib, lines, want)
			}
		}
	})
}

func exists(path string) bool { _, err := os.Stat(path); return err == nil }

// TestBundleNestedViews: views of a cgroup below the container's have its limits, and
// never more than the container's.
func TestBundleNestedViews(t *testing.T) {
	eachRuntime(t, func(t *testing.T, e bundleEngine) {
		b := e.newBundle(t, options{memory: "64m"}, "sleep 1000")
		b.detached("run", "--detach")
		c, err := world.Daemon.Client.Container(b.id)
		if err != nil {
			t.Fatal(err)
		}
		layout, err := cgroupview.Detect("/")
		if err != nil {
			t.Fatal(err)
		}
		inner := layout.At(b.spec.Linux.CgroupsPath + "/inner")
		inner.Unified = c.Cgroups.Unified
		if layout.Mode() == cgroupview.Unified {
			inner.Unified += "/inner"
		}
		for _, dir := range layout.Dirs(layout.At(b.spec.Linux.CgroupsPath + "/inner")) {
			if !exists(filepath.Dir(dir)) {
				continue // the runtime makes none there
			}
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.Remove(dir) }) // the runtime may have removed it
			if file := filepath.Join(dir, "memory.limit_in_bytes"); exists(file) {
				if err := os.WriteFile(file, []byte("33554432"), 0); err != nil {
					t.Fatal(err)
				}
			}
		}
		v, err := world.Daemon.Client.Nest(c.Key, &api.Nested{Cgroups: inner, PID: c.PID})
		if err != nil {
			t.Fatal(err)
		}
		want := "MemTotal:          32768 kB"
		if layout.Mode() == cgroupview.Unified {
			want = "MemTotal:          65536 kB" // the controller is off there, so the container's holds
		}
		meminfo := slices.IndexFunc(v.Views, func(v sealed.View) bool { return v.Path == "proc/meminfo" })
		if meminfo < 0 {
			t.Fatalf("no meminfo among %v", v.Views)
		}
		status, err := world.Daemon.Client.Status()
		if err != nil {
			t.Fatal(err)
		}
		daemon := strconv.Itoa(status.WorkerPID)
		sh(t, "nsenter", "-t", daemon, "-m", "head", "-n", "1", v.Views[meminfo].Source).prints(t, want)
		if _, err := world.Daemon.Client.Nest(c.Key, &api.Nested{Cgroups: layout.At("/"), PID: c.PID}); err == nil {
			t.Error("views of a cgroup above the container's were made")
		}
	})
}
