package emul

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"cloister/cgroupview"
	"cloister/cgroupview/cgrouptest"
)

func TestCPUCountIsTheSameEverywhere(t *testing.T) {
	type bandwidth = cgroupview.Bandwidth
	none := bandwidth{}
	tests := []struct {
		name          string
		quota, parent bandwidth
		cpus          string
		want          int
	}{
		{"none", none, none, "0-3", 4},
		{"half a CPU", bandwidth{Quota: 50000, Period: 100000}, none, "0-3", 1},
		{"one and a half", bandwidth{Quota: 150000, Period: 100000}, none, "0-3", 2},
		{"quota above the set", bandwidth{Quota: 800000, Period: 100000}, none, "0-3", 4},
		{"quota of an ancestor", none, bandwidth{Quota: 250000, Period: 100000}, "0-3", 3},
		{"one CPU, not the first", none, none, "1", 1},
		{"set with a gap", none, none, "1,3", 2},
		{"set and quota", bandwidth{Quota: 100000, Period: 100000}, none, "2-3", 1},
		{"set of an ancestor", none, none, "", 4},
	}
	inModes(t, func(t *testing.T, r *rig) {
		parent := r.fake.Cgroup("/ct")
		for _, tt := range tests {
			parent.Update(func(v *cgrouptest.Values) { v.Bandwidth = tt.parent })
			r.set(func(v *cgrouptest.Values) { v.Bandwidth, v.CPUs = tt.quota, tt.cpus })
			checkCPUCount(t, r.c, tt.name, tt.want)
		}
	})
}

// checkCPUCount checks that all files show n CPUs, numbered from 0.
func checkCPUCount(t *testing.T, c *Container, name string, n int) {
	t.Helper()
	online := "0\n"
	if n > 1 {
		online = fmt.Sprintf("0-%d\n", n-1)
	}
	for _, file := range []string{"online", "possible", "present"} {
		if got := readFile(t, c, cpuDir+"/"+file); got != online {
			t.Errorf("%s: %s %q, want %q", name, file, got, online)
		}
	}
	if got, want := readFile(t, c, cpuDir+"/kernel_max"), strconv.Itoa(n-1)+"\n"; got != want {
		t.Errorf("%s: kernel_max %q, want %q", name, got, want)
	}
	id, _, _ := lookUp(cpuDir + "/cpu*/online")
	if dirs, err := c.Members(id); err != nil || len(dirs) != n || dirs[0] != 0 || dirs[n-1] != n-1 {
		t.Errorf("%s: CPUs %v have a directory, %v, want %d", name, dirs, err, n)
	}
	if got := len(statCPUs(t, readFile(t, c, "proc/stat"))) - 1; got != n {
		t.Errorf("%s: %d rows in stat, want %d", name, got, n)
	}
	for _, path := range []string{"proc/interrupts", "proc/softirqs"} {
		columns, _, _ := strings.Cut(readFile(t, c, path), "\n")
		if got := len(strings.Fields(columns)); got != n {
			t.Errorf("%s: %d columns in %s, want %d", name, got, path, n)
		}
	}
	cpuinfo := readFile(t, c, "proc/cpuinfo")
	want := ""
	for i := range n {
		want += fmt.Sprintf("processor:%d physicalid:0 siblings:%d coreid:%d cpucores:%d apicid:%d initialapicid:%d ", i, n, i, n, i, i)
	}
	if got := topology(cpuinfo); got != want {
		t.Errorf("%s: cpuinfo %q, want %q", name, got, want)
	}
}

// topology returns the renumbered lines of cpuinfo, without blanks.
func topology(cpuinfo string) string {
	var b strings.Builder
	for line := range strings.Lines(cpuinfo) {
		key, value, _ := strings.Cut(line, ":")
		if _, ok := cpuinfoNumbers[strings.TrimSpace(key)]; ok {
			fmt.Fprintf(&b, "%s:%s ", strings.Join(strings.Fields(key), ""), strings.TrimSpace(value))
		}
	}
	return b.String()
}

func TestCPUsWithoutController(t *testing.T) {
	r := newRig(t, cgroupview.Legacy, func(r *rig) {
		r.fake.Write("proc/self/mountinfo", "30 22 0:30 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n")
		r.fake.Write("sys/devices/system/cpu/online", "0-1\n")
	})
	checkCPUCount(t, r.c, "no controllers", 2)
}
