//go:build e2e

package e2e

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

func checkFree(t *testing.T, c *toolsContainer, out string) {
	memory := numbers(t, findText(t, out, `(?m)^Mem: +(.+)$`))
	total, used, free, cache, available := memory[0], memory[1], memory[2], memory[4], memory[5]
	equal(t, "total", total, c.memory)
	atMost(t, "free", free, total-held)
	atMost(t, "cache", cache, total-held)
	atMost(t, "available", available, total-held)
	if used < held {
		t.Errorf("used: got %d, but a program holds %d", used, held)
	}
	equal(t, "swap", find(t, out, `(?m)^Swap: +(\d+)`), c.swap)
}

func checkVmstat(t *testing.T, c *toolsContainer, out string) {
	lines := strings.Split(strings.TrimSpace(out), "\n")
	equal(t, "lines", len(lines), 4)
	now := numbers(t, lines[3]) // r b swpd free buff cache si so bi bo in cs us sy id wa st
	atMost(t, "processes that run", now[0], 8)
	atMost(t, "swap that is used", now[2], c.swap)
	atMost(t, "free, buffers and cache", now[3]+now[4]+now[5], c.memory-held)
	if sum := now[12] + now[13] + now[14] + now[15] + now[16]; sum < 97 || sum > 103 { // each is rounded
		t.Errorf("the shares of CPU time add up to %d %%", sum)
	}
}

func checkVmstatSum(t *testing.T, c *toolsContainer, out string) {
	equal(t, "memory", find(t, out, `(\d+) K total memory`), c.memory)
	equal(t, "swap", find(t, out, `(\d+) K total swap`), c.swap)
	if used := find(t, out, `(\d+) K used memory`); used < held {
		t.Errorf("used memory: got %d, but a program holds %d", used, held)
	}
	atMost(t, "free memory", find(t, out, `(\d+) K free memory`), c.memory-held)
	for what, host := range map[string]int{
		"K paged in": c.host.pagedIn, "K paged out": c.host.pagedOut, "interrupts": c.host.interrupts, "CPU context switches": c.host.switches,
		"forks": c.host.forks, "idle cpu ticks": c.host.idle,
	} {
		below(t, what, find(t, out, `(?m)^ *(\d+) `+what+`$`), host)
	}
	if c.ownClocks {
		c.during(t, "boot time", time.Unix(int64(find(t, out, `(\d+) boot time`)), 0))
	}
}

func checkTop(t *testing.T, c *toolsContainer, out string) {
	findText(t, out, `^top - \S+ (up [01] min),`)
	checkLoad(t, findText(t, out, `load average: (.*)`))
	head, list, _ := strings.Cut(out, "COMMAND")
	equal(t, "tasks", find(t, head, `(?m)^Tasks: +(\d+) total`), len(strings.Fields(regexp.MustCompile(`(?m)^ *(\d+) .*$`).ReplaceAllString(list, "$1"))))
	equal(t, "memory", findText(t, head, `(?m)^MiB Mem : +(\S+) total`), mebibytes(c.memory))
	equal(t, "swap", findText(t, head, `(?m)^MiB Swap: +(\S+) total`), mebibytes(c.swap))
	f := strings.Fields(findText(t, list, `(?m)^(.* tail) *$`)) // PID USER PR NI VIRT RES SHR S %CPU %MEM TIME+ COMMAND
	checkShare(t, c, f[5], f[9])
}

func checkTopCPUs(t *testing.T, c *toolsContainer, out string) {
	equal(t, "CPUs", len(regexp.MustCompile(`%Cpu\d+`).FindAllString(out, -1)), c.cpus)
}

func checkUptime(t *testing.T, c *toolsContainer, out string) {
	findText(t, out, `^ \S+ (up [01] min),`)
	checkLoad(t, findText(t, out, `load average: (.*)`))
	start, err := time.ParseInLocation(time.DateTime, findText(t, out, `(?m)^(\d+-\d+-\d+ \S+)$`), time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	c.during(t, "uptime -s", start)
}

func checkPsMemory(t *testing.T, c *toolsContainer, out string) {
	f := strings.Fields(findText(t, out, `(?m)^(.*) tail$`))
	checkShare(t, c, f[0], f[1])
}

func checkPsTimes(t *testing.T, c *toolsContainer, out string) {
	age, started, _ := strings.Cut(strings.TrimSpace(out), " ")
	start, err := time.ParseInLocation(time.ANSIC, strings.TrimSpace(started), time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	c.during(t, "lstart", start)
	if !c.ownClocks {
		t.Log("the kernel counts the start of processes from the host's, as the container has no time namespace: etime is wrong")
		return
	}
	seconds, err := strconv.Atoi(age)
	if err != nil {
		t.Fatal(err)
	}
	atMost(t, "etimes", seconds, int(time.Since(c.before).Seconds())+1)
}

func checkBusyboxTop(t *testing.T, c *toolsContainer, out string) {
	used, free := find(t, out, `^Mem: (\d+)K used`), find(t, out, `, (\d+)K free`)
	equal(t, "memory", used+free, c.memory)
	load := findText(t, out, `(?m)^Load average: (\S+ \S+ \S+) `)
	checkLoad(t, strings.ReplaceAll(load, " ", ", "))
}

func checkHtop(t *testing.T, c *toolsContainer, out string) {
	equal(t, "bars of CPUs", len(regexp.MustCompile(`\d\.\d%\]`).FindAllString(out, -1)), c.cpus)
	checkLoad(t, strings.ReplaceAll(findText(t, out, `Load average: (\S+ \S+ \S+)`), " ", ", "))
	total := findText(t, out, `Mem\[.*?/([0-9.]+[MG])\]`)
	if c.limited {
		equal(t, "memory", total, "256M")
	}
}

// numbers are those of a text that has nothing else.
func numbers(t *testing.T, line string) (all []int) {
	t.Helper()
	for _, f := range strings.Fields(line) {
		n, err := strconv.Atoi(f)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, n)
	}
	return all
}

func mebibytes(kib int) string { return fmt.Sprintf("%.1f", float64(kib)/1024) }

// checkShare compares a process's share of the memory, in percent, with what it
// uses, in KiB.
func checkShare(t *testing.T, c *toolsContainer, rss, share string) {
	t.Helper()
	kib, err := strconv.Atoi(rss)
	if err != nil {
		t.Fatal(err)
	}
	percent, err := strconv.ParseFloat(share, 64)
	if err != nil {
		t.Fatal(err)
	}
	if want := float64(kib) / float64(c.memory) * 100; percent < want-0.1 || percent > want+0.1 {
		t.Errorf("%d KiB of %d are shown as %v %%, want %.1f %%", kib, c.memory, percent, want)
	}
}

// checkLoad looks at the averages of a container in which one program at a time
// runs.
func checkLoad(t *testing.T, averages string) {
	t.Helper()
	all := strings.Split(averages, ", ")
	equal(t, "averages", len(all), 3)
	for _, text := range all {
		load, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
		if err != nil {
			t.Fatal(err)
		}
		if load > 1.2 {
			t.Errorf("load average: %v is more than the container has caused", load)
		}
	}
}

// during tells whether a time is between the container's start and now. Clocks and
// the starts of processes may be in whole seconds.
func (c *toolsContainer) during(t *testing.T, what string, got time.Time) {
	t.Helper()
	if got.Before(c.before.Add(-2*time.Second)) || got.After(time.Now().Add(2*time.Second)) {
		t.Errorf("%s: got %v, want what is after %v", what, got, c.before)
	}
}
