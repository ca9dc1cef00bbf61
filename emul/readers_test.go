package emul

import (
	"cmp"
	"context"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/procfs"
	"github.com/prometheus/procfs/blockdevice"
	"github.com/prometheus/procfs/sysfs"
	"github.com/shirou/gopsutil/v4/common"
	"github.com/shirou/gopsutil/v4/cpu"
	"github.com/shirou/gopsutil/v4/disk"
	"github.com/shirou/gopsutil/v4/host"
	"github.com/shirou/gopsutil/v4/load"
	"github.com/shirou/gopsutil/v4/mem"

	"cloister/cgroupview"
	"cloister/cgroupview/cgrouptest"
)

// TestReaders has the parsers of monitoring agents read a container's files. They must
// be content with every one of them, and find the container's figures.
func TestReaders(t *testing.T) {
	hosts := map[string]string{"": "0-3", "x86-6.18": "0-1", "x86-6.1": "0-3", "x86-6.12": "0-1"} // CPUs; "" is cgrouptest's
	if runtime.GOARCH == "arm64" {                                                                // procfs reads the cpuinfo of the machine that it is built for
		hosts = map[string]string{"arm64": "0-3"}
	}
	for name, online := range hosts {
		for _, mode := range cgrouptest.Modes {
			t.Run(cmp.Or(name, "fake")+"/"+mode.String(), func(t *testing.T) {
				r := newRig(t, mode, func(r *rig) {
					if name != "" {
						if err := copyHost(r.fake, name); err != nil {
							t.Fatal(err)
						}
					}
					r.fake.Write("sys/devices/system/cpu/online", online+"\n")
					r.cgroup.AddTask(cgrouptest.Task{TID: 510, Comm: "worker", State: 'R', NSpid: []int{12}, VoluntarySwitches: 4000})
					r.cgroup.Update(goldenValues)
					nodes, err := os.ReadFile(r.fake.Root.Path(nodeDir, "online"))
					if err != nil {
						t.Fatal(err)
					}
					r.cgroup.Update(func(v *cgrouptest.Values) { v.Mems = strings.TrimSpace(string(nodes)) })
				})
				r.tickLoads(6)
				root := t.TempDir()
				for path, text := range readAll(t, r.c) {
					write(t, filepath.Join(root, path), text)
				}
				write(t, filepath.Join(root, "proc/1/comm"), "init\n") // Interrupts is asked of a process
				s := &readers{t: t, rig: r, root: root, cpus: r.c.view.cpus.visible}
				s.procfs()
				s.blockdevice()
				s.sysfs()
				s.gopsutil()
			})
		}
	}
}

func write(tb testing.TB, name, text string) {
	tb.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		tb.Fatal(err)
	}
}

// readers are the parsers with a container's files in the directory root.
type readers struct {
	*rig
	t    *testing.T
	root string
	cpus int
}

// must returns what a parser found.
func must[T any](v T, err error) func(*readers, string) T {
	return func(s *readers, name string) T {
		s.t.Helper()
		if err != nil {
			s.t.Errorf("%s: %v", name, err)
		}
		return v
	}
}

func equal[T comparable](s *readers, name string, got, want T) {
	s.t.Helper()
	if got != want {
		s.t.Errorf("%s: %v, want %v", name, got, want)
	}
}

// has reports whether the container sees a file.
func (s *readers) has(path string) bool {
	_, err := os.Stat(filepath.Join(s.root, path))
	return err == nil
}

func (s *readers) procfs() {
	s.t.Helper()
	fs := must(procfs.NewFS(filepath.Join(s.root, "proc")))(s, "NewFS")
	s.procfsMemory(fs)
	s.procfsCPUs(fs)

	avg := must(fs.LoadAvg())(s, "LoadAvg")
	equal(s, "Load1", avg.Load1, 0.39)
	equal(s, "slabs", len(must(fs.SlabInfo())(s, "SlabInfo").Slabs), 0)
	for _, resource := range []string{"cpu", "io", "memory"} {
		if s.has("proc/pressure/" + resource) {
			if stats := must(fs.PSIStatsForResource(resource))(s, resource); stats.Some == nil {
				s.t.Errorf("pressure/%s without a line for some", resource)
			}
		}
	}
}

func (s *readers) procfsMemory(fs procfs.FS) {
	s.t.Helper()
	m := s.meminfo()
	info := must(fs.Meminfo())(s, "Meminfo")
	for name, got := range map[string]*uint64{
		"MemTotal": info.MemTotal, "MemFree": info.MemFree, "MemAvailable": info.MemAvailable, "Cached": info.Cached,
		"SwapTotal": info.SwapTotal, "SwapFree": info.SwapFree, "Slab": info.Slab, "Committed_AS": info.CommittedAS,
	} {
		if got == nil || *got != m[name] {
			s.t.Errorf("Meminfo: %s %v, want %d", name, got, m[name])
		}
	}
	swaps := must(fs.Swaps())(s, "Swaps")
	if len(swaps) != 1 || uint64(swaps[0].Size) != m["SwapTotal"] || uint64(swaps[0].Used) != m["SwapTotal"]-m["SwapFree"] {
		s.t.Errorf("Swaps: %+v, want %d of which %d are free", swaps, m["SwapTotal"], m["SwapFree"])
	}
	var managed, free int64
	for _, zone := range must(fs.Zoneinfo())(s, "Zoneinfo") {
		managed += *zone.Managed
		if zone.NrFreePages != nil {
			free += *zone.NrFreePages
		}
	}
	equal(s, "managed pages", uint64(managed), m["MemTotal"]*kib/pageSize)
	equal(s, "free pages", uint64(free), m["MemFree"]*kib/pageSize)
}

func (s *readers) procfsCPUs(fs procfs.FS) {
	s.t.Helper()
	equal(s, "CPUs in cpuinfo", len(must(fs.CPUInfo())(s, "CPUInfo")), s.cpus)
	stat := must(fs.Stat())(s, "Stat")
	equal(s, "CPUs in stat", len(stat.CPU), s.cpus)
	equal(s, "user", stat.CPUTotal.User, 12)
	equal(s, "system", stat.CPUTotal.System, 3)
	equal(s, "ctxt", stat.ContextSwitches, 4000)
	equal(s, "processes", stat.ProcessCreated, 12)
	equal(s, "intr", stat.IRQTotal, 0)
	irqs := must(fs.Softirqs())(s, "Softirqs")
	for _, row := range [][]uint64{irqs.Hi, irqs.Timer, irqs.NetTx, irqs.NetRx, irqs.Block, irqs.IRQPoll, irqs.Tasklet, irqs.Sched, irqs.HRTimer, irqs.RCU} {
		if !slices.Equal(row, make([]uint64, s.cpus)) {
			s.t.Errorf("Softirqs: row %v, want %d zeros", row, s.cpus)
		}
	}
	interrupts := must(must(fs.Proc(1))(s, "Proc").Interrupts())(s, "Interrupts")
	if interrupts["LOC"].Info != "Local timer interrupts" && interrupts["IPI0"].Info != "Rescheduling interrupts" {
		s.t.Errorf("Interrupts: %v", interrupts)
	}
	for name, row := range interrupts {
		total := name == "ERR" || name == "MIS" || name == "Err"
		if len(row.Values) != s.cpus && !total || slices.Max(row.Values) != "0" {
			s.t.Errorf("Interrupts: %s %q, want a zero for each of %d CPUs", name, row.Values, s.cpus)
		}
	}
}

func (s *readers) blockdevice() {
	s.t.Helper()
	write(s.t, filepath.Join(s.root, "sys/block/.keep"), "")
	fs := must(blockdevice.NewFS(filepath.Join(s.root, "proc"), filepath.Join(s.root, "sys")))(s, "blockdevice.NewFS")
	disks := must(fs.ProcDiskstats())(s, "ProcDiskstats")
	if len(disks) == 0 {
		s.t.Error("ProcDiskstats: no disk")
	}
	partitions := s.read("proc/partitions")
	for _, d := range disks {
		equal(s, "reads of "+d.DeviceName, d.ReadIOs, 160)
		equal(s, "sectors written to "+d.DeviceName, d.WriteSectors, 4*mib/512)
		if !strings.Contains(partitions, " "+d.DeviceName+"\n") {
			s.t.Errorf("%s is not in partitions %q", d.DeviceName, partitions)
		}
	}
}

// sysfs reads the CPUs and nodes that the container sees. Not every machine has
// everything of them.
func (s *readers) sysfs() {
	s.t.Helper()
	fs := must(sysfs.NewFS(filepath.Join(s.root, "sys")))(s, "sysfs.NewFS")
	cpus := must(fs.CPUs())(s, "CPUs")
	if s.has("sys/devices/system/cpu/cpu0") {
		equal(s, "CPUs", len(cpus), s.cpus)
	}
	for _, c := range cpus {
		if s.has("sys/devices/system/cpu/cpu" + c.Number() + "/topology") {
			must(c.Topology())(s, "Topology of "+c.Number())
		}
		if s.has("sys/devices/system/cpu/cpu" + c.Number() + "/online") {
			equal(s, "Online of "+c.Number(), must(c.Online())(s, "Online"), true)
		}
	}
	if s.has("sys/devices/system/cpu/isolated") {
		must(fs.IsolatedCPUs())(s, "IsolatedCPUs")
	}
	if s.has("sys/devices/system/cpu/offline") {
		must(fs.SystemCpufreq())(s, "SystemCpufreq")
	}
	must(fs.CPUVulnerabilities())(s, "CPUVulnerabilities")
	must(fs.VMStatNUMA())(s, "VMStatNUMA")
}

func (s *readers) gopsutil() {
	s.t.Helper()
	path := func(name string) string { return filepath.Join(s.root, name) }
	ctx := context.WithValue(s.t.Context(), common.EnvKey, common.EnvMap{
		common.HostProcEnvKey: path("proc"), common.HostSysEnvKey: path("sys"), common.HostEtcEnvKey: path("etc"),
		common.HostRootEnvKey: s.root, common.HostDevEnvKey: path("dev"), common.HostRunEnvKey: path("run"),
	})
	m := s.meminfo()
	memory := must(mem.VirtualMemoryWithContext(ctx))(s, "VirtualMemory")
	equal(s, "Total", memory.Total, m["MemTotal"]*kib)
	equal(s, "Available", memory.Available, m["MemAvailable"]*kib)
	equal(s, "SwapTotal", memory.SwapTotal, m["SwapTotal"]*kib)
	swap := must(mem.SwapMemoryWithContext(ctx))(s, "SwapMemory")
	if s.fake.Mode == cgroupview.Unified { // v1 counts page faults only
		equal(s, "Sout", swap.Sout, 2600*4*kib)
	}
	equal(s, "PgFault", swap.PgFault, 91000*4*kib)
	devices := must(mem.SwapDevicesWithContext(ctx))(s, "SwapDevices")
	equal(s, "swap devices", len(devices), 1)

	equal(s, "Counts", must(cpu.CountsWithContext(ctx, true))(s, "Counts"), s.cpus)
	equal(s, "Info", len(must(cpu.InfoWithContext(ctx))(s, "Info")), s.cpus)
	equal(s, "Times", len(must(cpu.TimesWithContext(ctx, true))(s, "Times")), s.cpus)
	equal(s, "User", must(cpu.TimesWithContext(ctx, false))(s, "Times")[0].User, 12)

	equal(s, "Avg", must(load.AvgWithContext(ctx))(s, "Avg").Load1, 0.39)
	equal(s, "Misc", must(load.MiscWithContext(ctx))(s, "Misc").Ctxt, 4000)
	for name, d := range must(disk.IOCountersWithContext(ctx))(s, "IOCounters") {
		equal(s, "bytes read from "+name, d.ReadBytes, 20*mib)
	}
	btime := statLine(s.t, s.read("proc/stat"), "btime")[0]
	equal(s, "BootTime", must(host.BootTimeWithContext(ctx))(s, "BootTime"), btime)
	if s.has("proc/sys/kernel/random/boot_id") {
		must(host.HostIDWithContext(ctx))(s, "HostID")
	}
	equal(s, "uptime", strings.Fields(s.read("proc/uptime"))[0], "30.00")
}
