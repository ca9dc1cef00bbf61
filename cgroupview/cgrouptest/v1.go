package cgrouptest

import (
	"fmt"
	"strings"

	"cloister/cgroupview"
)

// unlimitedV1 is how a v1 kernel with 4 KiB pages prints a limit that is not
// set.
const unlimitedV1 = 9223372036854771712

func (c *Cgroup) writeV1(v *Values) {
	c.host.tb.Helper()
	for _, mount := range v1Mounts {
		c.write(mount, "cgroup.procs", "%s", taskList(v.Tasks))
		c.write(mount, "tasks", "%s", taskList(v.Tasks))
	}
	c.writeMemoryV1(v)
	quota, period := int64(-1), uint64(100000)
	if v.Bandwidth.Limited() {
		quota, period = int64(v.Bandwidth.Quota), v.Bandwidth.Period
	}
	c.write("cpu,cpuacct", "cpu.cfs_quota_us", "%d\n", quota)
	c.write("cpu,cpuacct", "cpu.cfs_period_us", "%d\n", period)
	usage := "cpu user system\n"
	for i, t := range v.CPUTime {
		usage += fmt.Sprintf("%d %d %d\n", i, t.User, t.System)
	}
	c.write("cpu,cpuacct", "cpuacct.usage_all", "%s", usage)
	c.write("cpuset", "cpuset.effective_cpus", "%s\n", v.CPUs)
	c.write("cpuset", "cpuset.effective_mems", "%s\n", v.Mems)
	c.write("pids", "pids.current", "%d\n", len(v.Tasks))
	c.writeBlkio(v.IO)
}

func (c *Cgroup) writeMemoryV1(v *Values) {
	c.host.tb.Helper()
	c.write("memory", "memory.limit_in_bytes", "%d\n", limitV1(v.MemoryMax))
	c.write("memory", "memory.usage_in_bytes", "%d\n", v.MemoryCurrent)
	memsw := cgroupview.NoLimit
	if v.MemoryMax != cgroupview.NoLimit && v.SwapMax != cgroupview.NoLimit {
		memsw = v.MemoryMax + v.SwapMax
	}
	c.write("memory", "memory.memsw.limit_in_bytes", "%d\n", limitV1(memsw))
	c.write("memory", "memory.memsw.usage_in_bytes", "%d\n", v.MemoryCurrent+v.SwapCurrent)
	c.write("memory", "memory.swappiness", "60\n")
	s := &v.Stat
	c.write("memory", "memory.stat", "cache 0\nrss 0\nmapped_file 0\ntotal_cache %d\ntotal_rss %d\n"+
		"total_rss_huge %d\ntotal_shmem %d\ntotal_mapped_file %d\ntotal_dirty %d\ntotal_writeback %d\n"+
		"total_swapcached %d\ntotal_inactive_anon %d\ntotal_active_anon %d\ntotal_inactive_file %d\n"+
		"total_active_file %d\ntotal_unevictable %d\ntotal_swap %d\n"+
		"total_pgpgin 777\ntotal_pgpgout 777\ntotal_pgfault %d\ntotal_pgmajfault %d\n",
		s.File, s.Anon, s.AnonThp, s.Shmem, s.FileMapped, s.FileDirty, s.FileWriteback,
		s.Swapcached, s.InactiveAnon, s.ActiveAnon, s.InactiveFile, s.ActiveFile, s.Unevictable, v.SwapCurrent,
		v.Events.Pgfault, v.Events.Pgmajfault)
	c.write("memory", "memory.oom_control", "oom_kill_disable 777\nunder_oom 777\noom_kill %d\n", v.Events.OOMKill)
}

func limitV1(v uint64) uint64 { return min(v, unlimitedV1) }

func (c *Cgroup) writeBlkio(io []cgroupview.DeviceIO) {
	c.host.tb.Helper()
	var bytes, ios strings.Builder
	for _, d := range io {
		fmt.Fprintf(&bytes, "%[1]d:%[2]d Read %[3]d\n%[1]d:%[2]d Write %[4]d\n%[1]d:%[2]d Sync 0\n%[1]d:%[2]d Async 0\n%[1]d:%[2]d Discard %[5]d\n%[1]d:%[2]d Total %[6]d\n",
			d.Major, d.Minor, d.RBytes, d.WBytes, d.DBytes, d.RBytes+d.WBytes+d.DBytes)
		fmt.Fprintf(&ios, "%[1]d:%[2]d Read %[3]d\n%[1]d:%[2]d Write %[4]d\n%[1]d:%[2]d Discard %[5]d\n",
			d.Major, d.Minor, d.RIOs, d.WIOs, d.DIOs)
	}
	c.write("blkio", "blkio.throttle.io_service_bytes_recursive", "%sTotal 0\n", bytes.String())
	c.write("blkio", "blkio.throttle.io_serviced_recursive", "%sTotal 0\n", ios.String())
}
