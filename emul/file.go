package emul

import "slices"

// File is a file that a container sees.
type File struct {
	Path string // from the root directory, "proc/meminfo"
	Mode uint32 // permission bits

	needs  source // what it takes of the host beyond the sample
	render func(dst []byte, v *view, in input) []byte
}

// FileID is the index of a file in Files.
type FileID int

// files are the emulated files. An index is part of node ids: new files are
// appended, and none is ever moved or taken out.
var files = [...]File{
	{Path: "proc/cpuinfo", Mode: 0o444, render: renderCPUInfo, needs: needCPUInfo},
	{Path: "proc/diskstats", Mode: 0o444, render: renderDiskstats, needs: needDiskstats},
	{Path: "proc/loadavg", Mode: 0o444, render: renderLoadavg},
	{Path: "proc/meminfo", Mode: 0o444, render: renderMeminfo},
	{Path: "proc/stat", Mode: 0o444, render: renderStat, needs: needBtime},
	{Path: "proc/swaps", Mode: 0o444, render: renderSwaps},
	{Path: "proc/uptime", Mode: 0o444, render: renderUptime},
	{Path: "sys/devices/system/cpu/online", Mode: 0o444, render: renderCPUOnline},
}

// Files returns the emulated files; a FileID is an index of the result.
func Files() []File { return slices.Clone(files[:]) }
