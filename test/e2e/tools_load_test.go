//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
)

// TestBundleToolsWithAllOfAQuota: half a CPU's quota, all of which is used, is half
// of a CPU in top's list and the whole of the container's CPU in its summary.
func TestBundleToolsWithAllOfAQuota(t *testing.T) {
	dir := needTools(t)
	eachRuntime(t, func(t *testing.T, e bundleEngine) {
		b := e.newToolsBundle(t, dir, options{cpus: "0.5"}, "while :; do :; done")
		var seen string
		t.Cleanup(func() {
			if t.Failed() {
				t.Log(seen)
			}
		})
		// On a busy host the container may get less than its quota for a while.
		eventually(t, "top shows 50 % of a CPU for the program, and no idle CPU", func() bool {
			seen = b.call("exec", b.id, "top", "-bn2", "-d2").out(t)
			_, second, _ := strings.Cut(seen, "\ntop - ") // the first is of the time before
			idle := decimal(t, findText(t, second, `%Cpu\(s\):.*[ ,]([0-9.]+) id`))
			f := strings.Fields(findText(t, second, `(?m)^( +1 .*)$`)) // PID USER PR NI VIRT RES SHR S %CPU …
			share := decimal(t, f[8])
			return idle <= 8 && share >= 43 && share <= 57
		})
	})
}

// neighbour writes, fills memory and then uses all CPU time that it gets.
const neighbour = `dd if=/dev/zero of=/v/file bs=1M count=16 oflag=direct
{ head -c 100M /dev/zero; : >/tmp/held; exec sleep 1000; } | tail -c 100M &
until [ -e /tmp/held ]; do sleep 0.05; done
for i in 1 2 3; do while :; do :; done & done
wait`

// TestBundleToolsBesideANeighbour: nothing of what a neighbour does is to be seen in
// a container that does nothing.
func TestBundleToolsBesideANeighbour(t *testing.T) {
	need(t, "runc")
	dir := needTools(t)
	t.Cleanup(func() { settled(t) })
	e := bundleEngine{"runc"}
	idle := e.newToolsBundle(t, dir, options{memory: "256m"}, "exec sleep 1000")
	before := readToolFigures(t, idle)
	busy := e.newToolsBundle(t, dir, options{memory: "512m", cpus: "1", volumes: []string{t.TempDir() + ":/v"}}, neighbour)
	var most toolFigures
	defer func() { t.Logf("idle: %+v; its neighbour: %+v", before, most) }()
	eventually(t, "the neighbour sees its own load, memory and output", func() bool {
		most = readToolFigures(t, busy)
		return most.load >= 0.5 && most.used >= 100<<10 && most.ticks >= 500 && (most.written >= 16<<11 || !outputCounted())
	})
	after := readToolFigures(t, idle)
	equal(t, "total memory", after.total, before.total)
	equal(t, "sectors written", after.written, before.written)
	if after.load > before.load+0.2 {
		t.Errorf("the load went from %v to %v", before.load, after.load)
	}
	// What is left are the programs that look.
	for what, increase := range map[string]int{
		"KiB of used memory": after.used - before.used, "KiB of cache": after.cache - before.cache, "KiB of output": after.pagedOut - before.pagedOut,
	} {
		if increase < -8<<10 || increase > 8<<10 {
			t.Errorf("%s: changed by %d", what, increase)
		}
	}
	if more := after.ticks - before.ticks; more < 0 || more > most.ticks/2 {
		t.Errorf("CPU time grew by %d ticks", more)
	}
}

// outputCounted tells whether the kernel counts what a cgroup writes to disks. With
// cgroup v1 newer ones do so only if there is a limit to it.
func outputCounted() bool {
	_, err := os.Stat("/sys/fs/cgroup/cgroup.controllers")
	return err == nil
}

// toolFigures are what tools show of a container's work.
type toolFigures struct {
	total, used, cache int     // KiB of memory
	pagedOut           int     // KiB
	written            int     // sectors of 512 bytes, to all disks
	ticks              int     // that the CPUs were not idle
	load               float64 // of the last minute
}

func readToolFigures(t *testing.T, b *testBundle) (f toolFigures) {
	t.Helper()
	out := b.call("exec", b.id, "sh", "-c", "free -k; uptime; vmstat -s; vmstat -d").ok(t).stdout
	memory := numbers(t, findText(t, out, `(?m)^Mem: +(.*)$`))
	f.total, f.used, f.cache = memory[0], memory[1], memory[4]
	f.pagedOut = find(t, out, `(\d+) K paged out`)
	for _, kind := range []string{"non-nice user", "nice user", "system"} {
		f.ticks += find(t, out, fmt.Sprintf(`(?m)^ *(\d+) %s cpu ticks`, kind))
	}
	f.load = decimal(t, findText(t, out, `load average: ([0-9.]+)`))
	_, disks, _ := strings.Cut(out, "disk-")
	for line := range strings.Lines(disks) {
		// The name, four columns of reads, four of writes, two more.
		if columns := strings.Fields(line); len(columns) == 11 && columns[0] != "total" {
			f.written += numbers(t, columns[7])[0]
		}
	}
	return f
}

func decimal(t *testing.T, text string) float64 {
	t.Helper()
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
