//go:build vm

package vm

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
)

// container is a running container and what was seen in it.
type container struct {
	g       *guest
	runtime string
	id      string
	seen    map[string]string // by what was looked at
	age     float64           // its greatest possible age in seconds, when that was seen
}

// looks are commands in the container.
var looks = []string{
	"cat /proc/self/uid_map", "cat /proc/self/gid_map", "cat /proc/meminfo", "cat /proc/swaps", "cat /proc/cpuinfo", "cat /proc/stat",
	"cat /proc/uptime", "cat /proc/loadavg", "cat /proc/self/stat", "cat /sys/devices/system/cpu/online",
	"readlink /proc/self/ns/time", "date +%s", "date -d \"$(uptime -s)\" +%s",
}

// look runs all looks in one go, as each exec takes a while on an emulated
// processor.
func (c *container) look(t *testing.T, before float64) {
	t.Helper()
	const separator = "----"
	script := strings.Join(looks, "\necho "+separator+"\n")
	out := c.g.run(t, call(c.runtime, fmt.Sprintf("exec %s sh -c '%s'", c.id, script)))
	c.age = c.g.uptime(t) - before
	parts := strings.Split(out, separator+"\n")
	if len(parts) != len(looks) {
		t.Fatalf("%d answers in the container, want %d:\n%s", len(parts), len(looks), out)
	}
	c.seen = map[string]string{}
	for i, command := range looks {
		c.seen[command] = strings.TrimSpace(parts[i])
	}
}

// field returns a number: that in a column of the line that begins with a name.
func (c *container) field(t *testing.T, command, name string, column int) float64 {
	t.Helper()
	for line := range strings.Lines(c.seen[command]) {
		if f := strings.Fields(line); len(f) > column && f[0] == name {
			return number(t, command, f[column])
		}
	}
	t.Fatalf("%s: no line %q with %d columns:\n%s", command, name, column+1, c.seen[command])
	return 0
}

func number(t *testing.T, what, text string) float64 {
	t.Helper()
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	return n
}

// uptime returns the guest's own uptime in seconds.
func (g *guest) uptime(t *testing.T) float64 {
	t.Helper()
	first, _, _ := strings.Cut(g.run(t, "cat /proc/uptime"), " ")
	return number(t, "the guest's /proc/uptime", first)
}

// startContainer starts a container, which ends with the test, and looks at it.
func startContainer(t *testing.T, g *guest, runtime, bundle string) *container {
	t.Helper()
	c := &container{g: g, runtime: runtime, id: bundle + "-" + runtime}
	before := g.uptime(t)
	g.run(t, call(runtime, "run --detach --bundle /bundles/"+bundle+" "+c.id+" >/data/run.log 2>&1 || { cat /data/run.log; exit 1; }"))
	t.Cleanup(func() {
		g.run(t, call(runtime, "delete --force "+c.id))
		g.until(t, "cloister status | grep -q '^containers *0$'")
	})
	c.look(t, before)
	return c
}
