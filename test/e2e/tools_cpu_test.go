//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// checkNproc: nproc asks sched_getaffinity(2), which knows nothing of a quota, with
// --all too if there is one CPU otherwise.
func checkNproc(t *testing.T, c *toolsContainer, out string) {
	n := numbers(t, out)
	if c.cpuset {
		equal(t, "nproc", n[0], c.cpus)
		equal(t, "nproc --all", n[1], c.cpus)
	}
}

func checkGetconf(t *testing.T, c *toolsContainer, out string) {
	n := numbers(t, out)
	equal(t, "_NPROCESSORS_ONLN", n[0], c.cpus)
	equal(t, "_NPROCESSORS_CONF", n[1], c.cpus)
}

// lscpuField is a line of lscpu's, and those below it.
type lscpuField struct {
	Field, Data string
	Children    []lscpuField
}

func checkLscpu(t *testing.T, c *toolsContainer, out string) {
	var table struct{ Lscpu []lscpuField }
	decoder := json.NewDecoder(strings.NewReader(out))
	if err := decoder.Decode(&table); err != nil {
		t.Fatal(err)
	}
	values := map[string]string{}
	flatten(values, table.Lscpu)
	equal(t, "CPU(s)", values["CPU(s):"], fmt.Sprint(c.cpus))
	if values["NUMA node(s):"] == "1" {
		equal(t, "CPUs of the only node", values["NUMA node0 CPU(s):"], values["On-line CPU(s) list:"])
	}
	equal(t, "CPUs that are off", values["Off-line CPU(s) list:"], "")
	product := 1
	for _, name := range []string{"Thread(s) per core:", "Core(s) per socket:", "Socket(s):"} {
		product *= numbers(t, values[name])[0]
	}
	equal(t, "threads, cores and sockets multiplied", product, c.cpus)
	equal(t, "lines of lscpu -p", len(regexp.MustCompile(`(?m)^\d+$`).FindAllString(out, -1)), c.cpus)
}

func flatten(values map[string]string, fields []lscpuField) {
	for _, f := range fields {
		values[f.Field] = f.Data
		flatten(values, f.Children)
	}
}

func checkMpstat(t *testing.T, c *toolsContainer, out string) {
	equal(t, "CPUs in the title", find(t, out, `(?m)^Linux .*\((\d+) CPU\)`), c.cpus)
	var rows []string
	for _, row := range regexp.MustCompile(`(?m)^\S+ +(all|\d+) +\d`).FindAllStringSubmatch(out, -1) {
		rows = append(rows, row[1])
	}
	want := []string{"all"}
	for i := range c.cpus {
		want = append(want, fmt.Sprint(i))
	}
	if !slices.Equal(rows, want) {
		t.Errorf("rows: got %q, want %q", rows, want)
	}
}

func checkNumactl(t *testing.T, c *toolsContainer, out string) {
	if _, err := os.Stat("/sys/devices/system/node"); err != nil {
		t.Skip("the kernel has no NUMA nodes")
	}
	sum := func(what string) (n int) {
		for _, f := range regexp.MustCompile(`(?m)^node \d+ `+what+`: (\d+) MB$`).FindAllStringSubmatch(out, -1) {
			n += numbers(t, f[1])[0]
		}
		return n
	}
	size := sum("size")
	if c.limited {
		equal(t, "MiB in all nodes", size, c.memory>>10)
	}
	atMost(t, "free MiB in all nodes", sum("free"), size)
	cpus := 0
	for _, f := range regexp.MustCompile(`(?m)^node \d+ cpus: (.*)$`).FindAllStringSubmatch(out, -1) {
		cpus += len(strings.Fields(f[1]))
	}
	equal(t, "CPUs in all nodes", cpus, c.cpus)
}
