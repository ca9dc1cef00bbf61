package cgroupview_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"testing"

	"github.com/moby/sys/mountinfo"

	"cloister/cgroupview"
	"cloister/internal/sys/systest/talk"
)

// TestKernel reads a cgroup of the running kernel. It needs root and makes a
// cgroup of its own in every writable hierarchy.
func TestKernel(t *testing.T) {
	k := newKernelCgroup(t)
	k.set("memory.max", "67108864")
	k.set("memory.limit_in_bytes", "67108864")
	k.set("cpu.max", "50000 100000")
	k.set("cpu.cfs_period_us", "100000")
	k.set("cpu.cfs_quota_us", "50000")
	cmd := exec.Command("/proc/self/exe", childName)
	cmd.Stderr = os.Stderr
	child := talk.Start(t, cmd)
	k.join(child.PID)
	child.Say("use memory and CPU")
	child.Hear("done")

	l, err := cgroupview.Detect("/")
	if err != nil {
		t.Fatal(err)
	}
	paths, err := l.PathsOf(child.PID)
	if err != nil {
		t.Fatal(err)
	}
	g, err := l.Open(paths)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	u := read(t, g)
	t.Logf("%v: %+v", l.Mode(), u)
	if !u.Memory.Own || u.Memory.Limit != 64*mib || u.Memory.Usage < 8*mib || u.Memory.Stat.Anon < 8*mib {
		t.Errorf("memory %+v, want a limit of 64 MiB and 8 MiB used", u.Memory)
	}
	if !u.CPUTimeOwn || u.CPUTime == (cgroupview.CPUTime{}) {
		t.Errorf("CPU time %v %v, want some", u.CPUTimeOwn, u.CPUTime)
	}
	if want := (cgroupview.Bandwidth{Quota: 50000, Period: 100000}); u.Bandwidth != want {
		t.Errorf("bandwidth %v, want %v", u.Bandwidth, want)
	}
	if u.CPUs.Len() == 0 || u.Mems.Len() == 0 || !u.PidsOwn || u.Pids == 0 {
		t.Errorf("CPUs %v, memory nodes %v, pids %v %d, want some", u.CPUs, u.Mems, u.PidsOwn, u.Pids)
	}
	if tasks, _, err := g.Tasks(nil, 1000); err != nil || !slices.Contains(tasks, child.PID) {
		t.Errorf("tasks %v, %v, want %d among them", tasks, err, child.PID)
	}

	nodes, numa, err := g.NUMA(nil)
	if err != nil || numa != k.has("memory.numa_stat") || numa && nodes[0].Anon < 8*mib {
		t.Errorf("memory by node %+v, %v, %v, want 8 MiB", nodes, numa, err)
	}
	text, pressure, err := g.Pressure(nil, "cpu")
	if err != nil || pressure != k.has("cpu.pressure") {
		t.Errorf("pressure %q, %v, %v, want what cpu.pressure has", text, pressure, err)
	}
	t.Logf("%+v\n%s", nodes, text)
	if trigger, err := g.OpenPressure("cpu"); pressure {
		if err == nil {
			_, err = io.WriteString(trigger, "some 150000 2000000\x00")
		}
		if err != nil {
			t.Errorf("trigger: %v", err)
		} else if err := trigger.Close(); err != nil {
			t.Error(err)
		}
	}

	if err := child.End(); err != nil {
		t.Error(err)
	}
	k.remove()
	if err := g.Read(&u); !errors.Is(err, cgroupview.ErrGone) {
		t.Errorf("Read of a removed cgroup: %v, want ErrGone", err)
	}
	if _, _, err := g.Tasks(nil, 1); !errors.Is(err, cgroupview.ErrGone) {
		t.Errorf("Tasks of a removed cgroup: %v, want ErrGone", err)
	}
	if _, _, err := g.NUMA(nil); numa && !errors.Is(err, cgroupview.ErrGone) {
		t.Errorf("NUMA of a removed cgroup: %v, want ErrGone", err)
	}
	if _, _, err := g.Pressure(nil, "cpu"); pressure && !errors.Is(err, cgroupview.ErrGone) {
		t.Errorf("Pressure of a removed cgroup: %v, want ErrGone", err)
	}
}

// kernelCgroup is a cgroup of the running kernel, in every hierarchy.
type kernelCgroup struct {
	t    *testing.T
	dirs []string
}

func newKernelCgroup(t *testing.T) *kernelCgroup {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root to make cgroups")
	}
	mounts, err := mountinfo.GetMounts(mountinfo.FSTypeFilter("cgroup", "cgroup2"))
	if err != nil || len(mounts) == 0 {
		t.Skipf("needs a mounted cgroup hierarchy: %v", err)
	}
	k := &kernelCgroup{t: t}
	t.Cleanup(k.remove)
	for _, m := range mounts {
		dir := fmt.Sprintf("%s/cloister-test-%d", m.Mountpoint, os.Getpid())
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Skipf("needs writable cgroup hierarchies: %v", err)
		}
		k.dirs = append(k.dirs, dir)
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
			if content, err := os.ReadFile(filepath.Join(m.Mountpoint, file)); err == nil {
				k.set(file, string(content))
			}
		}
	}
	for _, files := range [][2]string{{"memory.max", "memory.limit_in_bytes"}, {"cpu.max", "cpu.cfs_quota_us"}, {"pids.max", "pids.max"}} {
		if !k.has(files[0]) && !k.has(files[1]) {
			t.Skipf("needs %s in a cgroup below the root", files[0])
		}
	}
	return k
}

// has reports whether a hierarchy has the file.
func (k *kernelCgroup) has(file string) bool {
	return slices.ContainsFunc(k.dirs, func(dir string) bool {
		_, err := os.Stat(filepath.Join(dir, file))
		return err == nil
	})
}

// set writes a file where a hierarchy has it.
func (k *kernelCgroup) set(file, value string) {
	k.t.Helper()
	for _, dir := range k.dirs {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(value), 0); err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, os.ErrPermission) {
			k.t.Fatal(err)
		}
	}
}

func (k *kernelCgroup) join(pid int) {
	k.t.Helper()
	for _, dir := range k.dirs {
		if err := os.WriteFile(dir+"/cgroup.procs", []byte(strconv.Itoa(pid)), 0); err != nil {
			k.t.Fatal(err)
		}
	}
}

func (k *kernelCgroup) remove() {
	for _, dir := range k.dirs {
		if err := os.Remove(dir); err != nil {
			k.t.Errorf("leftover cgroup: %v", err)
		}
	}
	k.dirs = nil
}

// childName is the argument that makes the test program a child, which goes by its input.
const childName = "child"

func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == childName {
		obey()
		return
	}
	os.Exit(m.Run())
}

// obey takes 16 MiB and some CPU time for each line.
func obey() {
	var memory []byte
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		memory = make([]byte, 16*mib)
		for round := range 2 {
			for i := range memory {
				memory[i] += byte(round)
			}
		}
		fmt.Println("done")
	}
	runtime.KeepAlive(memory)
}
