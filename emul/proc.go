package emul

// procFiles are the files of /proc.
var procFiles = []File{
	derived("proc/cpuinfo", 0o444, parseCPUInfo, renderCPUInfo).stable(),
	derived("proc/diskstats", 0o444, parseDiskstats, renderDiskstats),
	{Path: "proc/loadavg", Mode: 0o444, render: renderLoadavg},
	{Path: "proc/meminfo", Mode: 0o444, render: renderMeminfo},
	derived("proc/stat", 0o444, parseBtime, renderStat).every(btimePeriod),
	{Path: "proc/swaps", Mode: 0o444, render: renderSwaps},
	{Path: "proc/uptime", Mode: 0o444, render: renderUptime},
	derived("proc/vmstat", 0o444, parseVmstat, renderVmstat).untilHotplug(),
	derived("proc/zoneinfo", 0o444, parseZoneinfo, renderZoneinfo).every(zoneinfoPeriod),
	derived("proc/slabinfo", 0o400, parseSlabinfo, renderSlabinfo).stable(),
	derived("proc/interrupts", 0o444, parseInterrupts, renderInterrupts).stable(),
	derived("proc/softirqs", 0o444, parseSoftirqs, renderSoftirqs).stable(),
	derived("proc/partitions", 0o444, parsePartitions, renderPartitions),
}
