//go:build vm

package vm

import (
	"strings"
	"testing"
)

func checkUptime(t *testing.T, c *container) {
	if up, limit := c.uptime(t), c.age+1; up > limit { // the start may be in whole seconds
		t.Errorf("uptime is %v s, but the container can't be older than %v s", up, limit)
	}
}

func (c *container) uptime(t *testing.T) float64 {
	t.Helper()
	up, _, _ := strings.Cut(c.seen["cat /proc/uptime"], " ")
	return number(t, "uptime", up)
}

// checkTimeNamespace compares the kernel's own clocks with what the files tell.
func checkTimeNamespace(t *testing.T, c *container) {
	skipWithoutTime(t, c.g, c.runtime)
	const link = "readlink /proc/self/ns/time"
	if own, host := c.seen[link], strings.TrimSpace(c.g.run(t, link)); own == host {
		t.Errorf("the container is in the host's time namespace, %s", host)
	}
	checkClocks(t, c)
}

// skipWithoutTime skips the test for a runtime that can't make time namespaces in
// user namespaces.
func skipWithoutTime(t *testing.T, g *guest, runtime string) {
	t.Helper()
	if features, _ := g.try(t, runtime+" features 2>&1"); !strings.Contains(features, `"time"`) {
		t.Skipf("%s has no time namespaces among its features", runtime)
	}
}

// checkClocks compares everything that tells when the container was booted.
func checkClocks(t *testing.T, c *container) {
	t.Helper()
	up, now := c.uptime(t), number(t, "date", c.seen["date +%s"])
	stat := strings.Fields(c.seen["cat /proc/self/stat"])
	for what, got := range map[string]float64{
		"sysinfo(2)":             now - number(t, "uptime -s", c.seen["date -d \"$(uptime -s)\" +%s"]),
		"btime in /proc/stat":    now - c.field(t, "cat /proc/stat", "btime", 1),
		"start of a new process": number(t, "starttime", stat[21]) / 100, // proc_pid_stat(5)
	} {
		if diff := got - up; diff < -2 || diff > 2 { // they are read one after the other, some in whole seconds
			t.Errorf("%s: up for %v s, /proc/uptime says %v s", what, got, up)
		}
	}
}

// checkGivenClocks starts a container whose config has a time namespace already.
func checkGivenClocks(t *testing.T, g *guest, runtime string) {
	skipWithoutTime(t, g, runtime)
	checkClocks(t, startContainer(t, g, runtime, "ahead"))
}
