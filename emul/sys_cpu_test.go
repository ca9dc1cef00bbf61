package emul

import (
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"cloister/cgroupview"
	"cloister/cgroupview/cgrouptest"
)

// The fake host has cores of two CPUs, 0-1 and 2-3, on a socket.
func TestCPUFiles(t *testing.T) {
	for _, tt := range []struct {
		cpus string
		want map[string]string
	}{
		{"0-3", map[string]string{
			"online": "0-3", "possible": "0-3", "present": "0-3", "enabled": "0-3", "kernel_max": "3",
			"offline": "", "isolated": "", "nohz_full": "", "smt/active": "0", "smt/control": "notsupported",
			"cpu2/topology/core_id": "2", "cpu2/topology/cluster_id": "2", "cpu2/topology/physical_package_id": "0",
			"cpu2/topology/die_id": "0", "cpu2/topology/core_cpus": "4", "cpu2/topology/core_cpus_list": "2",
			"cpu2/topology/thread_siblings": "4", "cpu2/topology/thread_siblings_list": "2",
			"cpu2/topology/cluster_cpus": "4", "cpu2/topology/cluster_cpus_list": "2",
			"cpu2/topology/core_siblings": "f", "cpu2/topology/core_siblings_list": "0-3",
			"cpu2/topology/package_cpus": "f", "cpu2/topology/package_cpus_list": "0-3",
			"cpu2/topology/die_cpus": "f", "cpu2/topology/die_cpus_list": "0-3",
			"cpu0/cache/index0/shared_cpu_list": "0-1", "cpu0/cache/index0/shared_cpu_map": "3",
			"cpu3/cache/index2/shared_cpu_list": "2-3", "cpu3/cache/index2/shared_cpu_map": "c",
			"cpu3/cache/index3/shared_cpu_list": "0-3", "cpu3/cache/index3/shared_cpu_map": "f",
			"cpu1/cache/index0/size": "48K", "cpu1/cache/index1/type": "Instruction", "cpu1/cache/index3/level": "3",
			"cpu1/cache/index3/ways_of_associativity": "15", "cpu1/cache/index3/number_of_sets": "114688",
			"cpu1/cpufreq/related_cpus": "1", "cpufreq/policy3/affected_cpus": "3",
		}},
		{"1,3", map[string]string{
			"online": "0-1", "possible": "0-1", "kernel_max": "1", "offline": "",
			"cpu1/topology/core_id": "1", "cpu1/topology/core_cpus": "2", "cpu1/topology/package_cpus": "3",
			"cpu0/cache/index0/shared_cpu_list": "0", "cpu0/cache/index0/shared_cpu_map": "1",
			"cpu1/cache/index0/shared_cpu_list": "1", "cpu1/cache/index0/shared_cpu_map": "2",
			"cpu1/cache/index3/shared_cpu_list": "0-1", "cpu1/cache/index3/shared_cpu_map": "3",
			"cpu1/cpufreq/related_cpus": "1", "cpufreq/policy1/affected_cpus": "1",
		}},
		{"2", map[string]string{
			"online": "0", "possible": "0", "present": "0", "kernel_max": "0", "offline": "",
			"cpu0/topology/core_id": "0", "cpu0/topology/package_cpus_list": "0", "cpu0/topology/package_cpus": "1",
			"cpu0/cache/index3/shared_cpu_list": "0", "cpu0/cache/index3/shared_cpu_map": "1",
		}},
	} {
		r := newRig(t, cgroupview.Unified, func(r *rig) {
			r.cgroup.Update(func(v *cgrouptest.Values) { v.CPUs = tt.cpus })
		})
		for name, want := range tt.want {
			if got := r.read(cpuDir + "/" + name); got != want+"\n" {
				t.Errorf("CPUs %s: %s is %q, want %q", tt.cpus, name, got, want)
			}
		}
	}
}

// What is said of a CPU is what the host says of the one that it runs on.
func TestConstantsOfTheContainersCPUs(t *testing.T) {
	r := newRig(t, cgroupview.Unified, func(r *rig) {
		for cpu, text := range map[string]string{"cpu0": "1\n", "cpu2": "2\n"} {
			r.fake.Write(cpuDir+"/"+cpu+"/cpu_capacity", text)
			r.fake.Write(cpuDir+"/"+cpu+"/regs/identification/midr_el1", "midr "+text)
			r.fake.Write(cpuDir+"/"+cpu+"/cpufreq/cpuinfo_max_freq", "max "+text)
			r.fake.Write(cpuDir+"/"+cpu+"/cpufreq/scaling_governor", "governor "+text)
		}
		r.cgroup.Update(func(v *cgrouptest.Values) { v.CPUs = "2-3" })
	})
	for name, want := range map[string]string{
		"cpu0/cpu_capacity": "2\n", "cpu0/regs/identification/midr_el1": "midr 2\n",
		"cpu0/cpufreq/scaling_cur_freq": "max 2\n", "cpu0/cpufreq/cpuinfo_avg_freq": "max 2\n",
		"cpufreq/policy0/scaling_cur_freq": "max 2\n", "cpufreq/policy0/scaling_governor": "governor 2\n",
	} {
		if got := r.read(cpuDir + "/" + name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	r.fake.Write(cpuDir+"/cpu2/cpufreq/scaling_governor", "performance\n")
	r.step(testPeriod)
	if got := r.read(cpuDir + "/cpu0/cpufreq/scaling_governor"); got != "performance\n" {
		t.Errorf("scaling_governor is %q after it was changed", got)
	}
	for _, name := range []string{"spectre_v1", "spectre_v2", "vmscape", "l1tf"} {
		path := cpuDir + "/vulnerabilities/" + name
		want, err := os.ReadFile(r.fake.Root.Path(path))
		if err != nil {
			t.Fatal(err)
		}
		if got := r.read(path); got != string(want) {
			t.Errorf("%s is %q, want the host's %q", path, got, want)
		}
	}
}

// A machine's CPUs need not all have the same files: of some that save power, there is
// no cache of the third level.
func TestCPUWithoutFile(t *testing.T) {
	r := newRig(t, cgroupview.Unified, func(r *rig) {
		if err := os.RemoveAll(r.fake.Root.Path(cpuDir, "cpu3/cache/index3")); err != nil {
			t.Fatal(err)
		}
	})
	id, _, _ := lookUp(cpuDir + "/cpu*/cache/index3/size")
	for member, want := range map[int]error{0: nil, 2: nil, 3: ErrNoMember, 4: ErrNoMember, -1: ErrNoMember} {
		if _, err := r.c.Render(nil, id, member); !errors.Is(err, want) {
			t.Errorf("index3 of cpu%d: %v, want %v", member, err, want)
		}
	}
}

// The files of a CPU that came in place of another are read again.
func TestCacheFollowsHotplug(t *testing.T) {
	r := newRig(t, cgroupview.Unified, nil)
	const size, shared = cpuDir + "/cpu0/cache/index3/size", cpuDir + "/cpu0/cache/index3/shared_cpu_list"
	if got := r.read(size) + r.read(shared); got != "107520K\n0-3\n" {
		t.Errorf("cache %q at first", got)
	}
	r.fake.Write(size, "1024K\n")
	r.fake.Write(shared, "0-1\n")
	r.step(testPeriod)
	if got := r.read(size) + r.read(shared); got != "107520K\n0-3\n" {
		t.Errorf("cache changed to %q while the CPUs did not", got)
	}
	r.fake.Write(cpuDir+"/online", "0-1\n")
	r.set(func(v *cgrouptest.Values) { v.CPUs = "0-1" })
	if got := r.read(size) + r.read(shared); got != "1024K\n0-1\n" {
		t.Errorf("cache %q after two CPUs went", got)
	}
}

func TestParseNohzFull(t *testing.T) {
	for text, want := range map[string]string{
		"\n": "\n", "2-3\n": "\n", "(null)\n": "(null)\n", "  (null)\n": "  (null)\n",
	} {
		if got, err := parseNohzFull([]byte(text)); got != want || err != nil {
			t.Errorf("parseNohzFull(%q) = %q, %v, want %q", text, got, err, want)
		}
	}
	if _, err := parseNohzFull([]byte("all\n")); !errors.Is(err, cgroupview.ErrFormat) {
		t.Errorf("parseNohzFull: %v, want ErrFormat", err)
	}
}

// What lscpu makes of the files.
func TestLscpu(t *testing.T) {
	lscpu, err := exec.LookPath("lscpu")
	if err != nil {
		t.Skip("needs lscpu, of util-linux")
	}
	for _, tt := range []struct {
		cpus string
		want []string
	}{
		{"0-3", []string{"CPU(s): 4", "Core(s) per socket: 4", "L1d cache: 96 KiB", "L2 cache: 4 MiB", "L3 cache: 105 MiB", "NUMA node(s): 2", "NUMA node1 CPU(s): 2,3"}},
		{"1,3", []string{"CPU(s): 2", "Core(s) per socket: 2", "L1d cache: 96 KiB", "L1i cache: 64 KiB", "L2 cache: 4 MiB", "L3 cache: 105 MiB", "NUMA node1 CPU(s): 1"}},
		{"3", []string{"CPU(s): 1", "Core(s) per socket: 1", "L1d cache: 48 KiB", "L2 cache: 2 MiB", "L3 cache: 105 MiB", "NUMA node1 CPU(s): 0"}},
	} {
		r := newRig(t, cgroupview.Unified, func(r *rig) {
			r.cgroup.Update(func(v *cgrouptest.Values) { v.CPUs = tt.cpus })
		})
		cmd := exec.Command(lscpu, "--sysroot", writeTree(t, r.c))
		cmd.Env = append(os.Environ(), "LC_ALL=C")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("lscpu: %v\n%s", err, out)
		}
		var lines []string
		for line := range strings.Lines(string(out)) {
			line, _, _ = strings.Cut(line, " (") // the number of caches, since 2.37
			lines = append(lines, strings.Join(strings.Fields(line), " "))
		}
		for _, want := range append(tt.want, "Thread(s) per core: 1", "Socket(s): 1") {
			if !slices.Contains(lines, want) {
				t.Errorf("CPUs %s: no %q in\n%s", tt.cpus, want, out)
			}
		}
	}
}
