//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// toolsLimits are the containers in which the tools are run.
var toolsLimits = []struct {
	name string
	options
	cpus int // how many are to be seen, if the host has as many
}{
	{"256 MiB, 1.5 CPUs", options{memory: "256m", cpus: "1.5"}, 2},
	{"256 MiB, CPU 0", options{memory: "256m", cpuset: "0"}, 1},
	{"half a CPU", options{cpus: "0.5"}, 1},
}

// toolsProgram holds 64 MiB of memory and does nothing, once there is /tmp/held.
const toolsProgram = "{ head -c 64M /dev/zero; : >/tmp/held; exec sleep 1000; } | tail -c 64M"

const held = 64 << 10 // KiB

// TestDockerTools runs the tools in containers of docker's.
func TestDockerTools(t *testing.T) {
	needToolsImage(t)
	for _, limits := range toolsLimits {
		t.Run(limits.name, func(t *testing.T) {
			if hostCPUs(t) < limits.cpus {
				t.Skip("docker refuses more CPUs than there are")
			}
			c := newToolsContainer(t, limits.options, limits.cpus)
			args := []string{"--memory=" + limits.memory, "--cpus=" + limits.options.cpus, "--cpuset-cpus=" + limits.cpuset, toolsImage, "sh", "-c", toolsProgram}
			dockerStart(t, "tools", withValue(args)...)
			c.exec = func(t *testing.T, script string) result { return dexec(t, "tools", script) }
			c.run(t)
		})
	}
}

// TestBundleTools runs the tools in containers without an engine. What is true of all
// limits does not depend on the runtime.
func TestBundleTools(t *testing.T) {
	dir := needTools(t)
	eachRuntime(t, func(t *testing.T, e bundleEngine) {
		all := toolsLimits
		if e.runtime != runtimes[0] {
			all = all[:1]
		}
		for _, limits := range all {
			t.Run(limits.name, func(t *testing.T) {
				c := newToolsContainer(t, limits.options, limits.cpus)
				b := e.newToolsBundle(t, dir, limits.options, toolsProgram)
				c.exec = func(t *testing.T, script string) result {
					t.Helper()
					return b.call("exec", b.id, "sh", "-c", script)
				}
				c.run(t)
			})
		}
	})
}

// newToolsBundle starts a container that writes to nothing but /tmp.
func (e bundleEngine) newToolsBundle(t *testing.T, dir string, o options, script string) *testBundle {
	t.Helper()
	o.readOnly = true
	b := e.newBundle(t, o, script)
	b.spec.Root.Path = dir
	b.spec.Mounts = append(b.spec.Mounts, specs.Mount{Destination: "/tmp", Type: "tmpfs", Source: "tmpfs"})
	b.detached("run", "--detach")
	return b
}

// withValue returns the flags that have a value, and all that are none.
func withValue(args []string) (set []string) {
	for _, arg := range args {
		if !strings.HasPrefix(arg, "--") || !strings.HasSuffix(arg, "=") {
			set = append(set, arg)
		}
	}
	return set
}

// toolsContainer is a container, what its tools must show and what they must not.
type toolsContainer struct {
	exec      func(t *testing.T, script string) result
	cpus      int // visible
	memory    int // visible, in KiB
	swap      int // visible, in KiB
	limited   bool
	cpuset    bool
	ownClocks bool
	before    time.Time   // the container was started
	host      hostFigures // then
}

func newToolsContainer(t *testing.T, o options, cpus int) *toolsContainer {
	t.Helper()
	c := &toolsContainer{
		before: time.Now(), host: readHost(t), cpus: min(cpus, hostCPUs(t)),
		memory: hostKiB(t, "MemTotal"), swap: hostKiB(t, "SwapTotal"),
		limited: o.memory != "", cpuset: o.cpuset != "",
	}
	if c.limited {
		const limit = 256 << 10
		c.memory, c.swap = limit, min(c.swap, limit) // engines allow as much swap again
	}
	return c
}

// run runs all tools that the container has, and checks what they show.
func (c *toolsContainer) run(t *testing.T) {
	t.Helper()
	seen := c.show(t)
	for i, tool := range toolTests {
		t.Run(tool.name, func(t *testing.T) {
			if seen[i].status == missing {
				t.Skip("not among the tools")
			}
			t.Logf("%s", seen[i].stdout)
			tool.check(t, c, seen[i].ok(t).stdout)
		})
	}
}

// missing is the exit status of a tool that is not there.
const missing = 127

// escapes move the cursor and choose colours.
var escapes = regexp.MustCompile(`\x1b[\[(][?0-9;]*[A-Za-z]`)

var toolEnd = regexp.MustCompile(`(?m)^==== (\d+)\n`)

// show runs all tools in one go, which saves an exec for each.
func (c *toolsContainer) show(t *testing.T) (seen []result) {
	t.Helper()
	var script strings.Builder
	script.WriteString("export LC_ALL=C.UTF-8 COLUMNS=120\nuntil [ -e /tmp/held ]; do sleep 0.05; done\nreadlink /proc/self/ns/time\n")
	for _, tool := range toolTests {
		program := strings.Trim(strings.Fields(tool.script)[0], ";")
		fmt.Fprintf(&script, "if command -v %s >/dev/null; then ( %s\n) 2>&1; else (exit %d); fi\nprintf '\\n==== %%d\\n' $?\n", program, tool.script, missing)
	}
	clocks, out, _ := strings.Cut(c.exec(t, script.String()).ok(t).stdout, "\n")
	host, _ := os.Readlink("/proc/self/ns/time") // none on a kernel without
	c.ownClocks = clocks != host
	for _, tool := range toolTests {
		end := toolEnd.FindStringSubmatchIndex(out)
		if end == nil {
			t.Fatalf("no end of %s:\n%s", tool.name, out)
		}
		shown := escapes.ReplaceAllString(out[:end[0]], "")
		seen = append(seen, result{command: tool.script, stdout: shown, status: numbers(t, out[end[2]:end[3]])[0]})
		out = out[end[1]:]
	}
	return seen
}

// toolTests are the tools. A script begins with the name of the program that has to
// be there.
var toolTests = []struct {
	name, script string
	check        func(t *testing.T, c *toolsContainer, out string)
}{
	{"free", "free -k", checkFree},
	{"vmstat", "vmstat 1 2", checkVmstat},
	{"vmstat -s", "vmstat -s", checkVmstatSum},
	{"top", "top -bn1", checkTop},
	{"top for each CPU", "top -bn1 -1 -w 500", checkTopCPUs},
	{"uptime", "uptime; uptime -s", checkUptime},
	{"ps", "ps -eo rss=,pmem=,comm=", checkPsMemory},
	{"ps, times", "ps -p 1 -o etimes=,lstart=", checkPsTimes},
	{"busybox", "busybox top -bn1", checkBusyboxTop},
	{"htop", `htop --version >/dev/null; printf q | TERM=xterm script -qec "stty cols 120 rows 30; htop --no-color" /dev/null`, checkHtop},

	{"nproc", "nproc; nproc --all", checkNproc},
	{"getconf", "getconf _NPROCESSORS_ONLN; getconf _NPROCESSORS_CONF", checkGetconf},
	{"lscpu", "lscpu -J; lscpu -p=CPU", checkLscpu},
	{"mpstat", "mpstat -P ALL", checkMpstat},
	{"numactl", "numactl --hardware", checkNumactl},

	{"python", "python3 -c '" + pythonScript + "'", checkPython},
	{"node", "node -e '" + nodeScript + "'", checkNode},
	{"java", "/usr/lib/jvm/java-17-openjdk-amd64/bin/java -XX:-UsePerfData -Xlog:gc+init -XshowSettings:system -version", checkJava},
	{"nginx", nginxScript, checkNginx},
}

// hostFigures grow from the host's start on, so that a container, which is younger,
// can't have as large ones of its own.
type hostFigures struct {
	pagedIn, pagedOut                 int // KiB
	interrupts, switches, forks, idle int
}

func readHost(t *testing.T) hostFigures {
	t.Helper()
	vmstat, stat := hostFile(t, "/proc/vmstat"), hostFile(t, "/proc/stat")
	return hostFigures{
		pagedIn:    find(t, vmstat, `(?m)^pgpgin (\d+)`),
		pagedOut:   find(t, vmstat, `(?m)^pgpgout (\d+)`),
		interrupts: find(t, stat, `(?m)^intr (\d+)`),
		switches:   find(t, stat, `(?m)^ctxt (\d+)`),
		forks:      find(t, stat, `(?m)^processes (\d+)`),
		idle:       find(t, stat, `(?m)^cpu +\d+ +\d+ +\d+ +(\d+)`),
	}
}

func hostCPUs(t *testing.T) int {
	t.Helper()
	return strings.Count("\n"+hostFile(t, "/proc/cpuinfo"), "\nprocessor")
}

func hostKiB(t *testing.T, name string) int {
	t.Helper()
	return find(t, hostFile(t, "/proc/meminfo"), `(?m)^`+name+`: +(\d+) kB`)
}

func hostFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Clean(path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// find returns the number that a pattern captures.
func find(t *testing.T, text, pattern string) int {
	t.Helper()
	n, err := strconv.Atoi(findText(t, text, pattern))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func findText(t *testing.T, text, pattern string) string {
	t.Helper()
	f := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if f == nil {
		t.Fatalf("nothing like %s in\n%s", pattern, text)
	}
	return f[1]
}

// equal, atMost and below compare what a tool shows.
func equal[V comparable](t *testing.T, what string, got, want V) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func atMost(t *testing.T, what string, got, most int) {
	t.Helper()
	if got < 0 || got > most {
		t.Errorf("%s: got %d, want at most %d", what, got, most)
	}
}

// below: a figure of the host's would be as large as it was before, or larger.
func below(t *testing.T, what string, got, host int) {
	t.Helper()
	if got < 0 || got >= host {
		t.Errorf("%s: got %d, as much as the host had before the container was started, %d", what, got, host)
	}
}
