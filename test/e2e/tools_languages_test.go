//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

const pythonScript = `
import json, os, psutil
m, s, i = psutil.virtual_memory(), psutil.swap_memory(), psutil.cpu_stats()
print(json.dumps({
	"CPUs": [os.cpu_count(), psutil.cpu_count(), len(psutil.cpu_times(percpu=True)), len(psutil.cpu_percent(percpu=True))],
	"Cores": psutil.cpu_count(logical=False),
	"Total": m.total, "Available": m.available, "Used": m.used, "Swap": s.total, "SwapUsed": s.used,
	"Switches": i.ctx_switches, "Interrupts": i.interrupts,
	"Pages": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
	"Boot": psutil.boot_time(), "Start": psutil.Process(1).create_time(),
	"Share": max(p.memory_percent() for p in psutil.process_iter()),
}))
`

func checkPython(t *testing.T, c *toolsContainer, out string) {
	var seen struct {
		CPUs                                 []int
		Cores, Total, Available, Used, Pages int
		Swap, SwapUsed, Switches, Interrupts int
		Boot, Start, Share                   float64
	}
	if err := json.Unmarshal([]byte(out), &seen); err != nil {
		t.Fatal(err)
	}
	for i, what := range []string{"os.cpu_count", "psutil.cpu_count", "psutil.cpu_times", "psutil.cpu_percent"} {
		equal(t, what, seen.CPUs[i], c.cpus)
	}
	if seen.Cores < 1 || seen.Cores > c.cpus {
		t.Errorf("cores: got %d, want 1 to %d", seen.Cores, c.cpus)
	}
	equal(t, "memory", seen.Total, c.memory<<10)
	equal(t, "pages of memory", seen.Pages, c.memory<<10)
	atMost(t, "available memory", seen.Available, (c.memory-held)<<10)
	if seen.Used < held<<10 {
		t.Errorf("used memory: got %d, but a program holds %d KiB", seen.Used, held)
	}
	equal(t, "swap", seen.Swap, c.swap<<10)
	atMost(t, "used swap", seen.SwapUsed, c.swap<<10)
	below(t, "context switches", seen.Switches, c.host.switches)
	below(t, "interrupts", seen.Interrupts, c.host.interrupts)
	if least := float64(held) / float64(c.memory) * 100; seen.Share < least || seen.Share > least*1.1 {
		t.Errorf("a program that holds %d KiB of %d has %v %%", held, c.memory, seen.Share)
	}
	c.during(t, "start of the first process", epoch(seen.Start))
	if c.ownClocks {
		c.during(t, "boot time", epoch(seen.Boot))
	}
}

func epoch(seconds float64) time.Time { return time.UnixMilli(int64(seconds * 1000)) }

const nodeScript = `
const os = require("os")
console.log(JSON.stringify({
	CPUs: os.cpus().length, Parallelism: os.availableParallelism(), Total: os.totalmem(), Free: os.freemem(),
	Load: os.loadavg().map(n => n.toFixed(2)).join(", "), Uptime: os.uptime(),
	Heap: require("v8").getHeapStatistics().heap_size_limit,
}))
`

func checkNode(t *testing.T, c *toolsContainer, out string) {
	var seen struct {
		CPUs, Parallelism, Total, Free, Heap int
		Load                                 string
		Uptime                               float64
	}
	if err := json.Unmarshal([]byte(out), &seen); err != nil {
		t.Fatal(err)
	}
	equal(t, "os.cpus", seen.CPUs, c.cpus)
	if c.cpuset { // it is sched_getaffinity(2) that it asks
		equal(t, "os.availableParallelism", seen.Parallelism, c.cpus)
	}
	equal(t, "os.totalmem", seen.Total, c.memory<<10)
	atMost(t, "os.freemem", seen.Free, (c.memory-held)<<10)
	atMost(t, "os.uptime", int(seen.Uptime), int(time.Since(c.before).Seconds())+1)
	checkLoad(t, seen.Load)
	if c.limited {
		atMost(t, "V8's largest heap", seen.Heap, 2*c.memory<<10) // it is a little more than the limit
	}
}

// checkJava: the number of CPUs that are available is what Runtime's method returns.
func checkJava(t *testing.T, c *toolsContainer, out string) {
	equal(t, "CPUs", findText(t, out, `CPUs: (.*)`), fmt.Sprintf("%d total, %[1]d available", c.cpus))
	equal(t, "effective CPUs", find(t, out, `Effective CPU Count: (\d+)`), c.cpus)
	equal(t, "memory", find(t, out, `\] Memory: (\d+)M`), c.memory>>10)
	// A limit of as much as sysinfo(2) says that there is, is none to it.
	equal(t, "limit", findText(t, out, `Memory Limit: (.*)`), "Unlimited")
	atMost(t, "MiB of the largest heap", find(t, out, `Heap Max Capacity: (\d+)M`), c.memory>>10)
}

// nginxScript counts workers in the log, when the master has started all of them: it
// takes no signals before.
const nginxScript = `nginx -v
set -e
cd /tmp
echo "user root; worker_processes auto; pid /tmp/pid; error_log /tmp/log notice; events {}" >conf
nginx -c /tmp/conf
until [ -s pid ]; do :; done
while [ -e pid ]; do kill -QUIT "$(cat pid)" || :; sleep 0.05; done
cat log`

func checkNginx(t *testing.T, c *toolsContainer, out string) {
	equal(t, "workers", strings.Count(out, ": start worker process "), c.cpus)
}
