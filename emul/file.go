package emul

import "slices"

// File is a file that a container sees.
type File struct {
	Path  string // from the root directory, "proc/meminfo"
	Mode  uint32 // permission bits
	Class Class

	needs  source // what it takes of the host beyond the sample
	render func(dst []byte, v *view, in input) []byte
}

// Class tells how often the content of a file changes, which decides how it is
// best served.
type Class int

const (
	// Exact files change from read to read.
	Exact Class = iota
	// Pushed files change only with the limits of the container or with the
	// host's set of online CPUs.
	Pushed
)

// FileID is the index of a file in Files.
type FileID int

// files are the emulated files. An index is part of node ids that outlive the
// daemon: new files are appended, and none is ever moved or taken out.
var files = [...]File{
	{Path: "proc/cpuinfo", Mode: 0o444, Class: Pushed, render: renderCPUInfo, needs: needCPUInfo},
	{Path: "proc/diskstats", Mode: 0o444, Class: Exact, render: renderDiskstats, needs: needDiskstats},
	{Path: "proc/loadavg", Mode: 0o444, Class: Exact, render: renderLoadavg},
	{Path: "proc/meminfo", Mode: 0o444, Class: Exact, render: renderMeminfo},
	{Path: "proc/stat", Mode: 0o444, Class: Exact, render: renderStat, needs: needBtime},
	{Path: "proc/swaps", Mode: 0o444, Class: Exact, render: renderSwaps},
	{Path: "proc/uptime", Mode: 0o444, Class: Exact, render: renderUptime},
	{Path: "sys/devices/system/cpu/online", Mode: 0o444, Class: Pushed, render: renderCPUOnline},
}

// Files returns the emulated files; a FileID is an index of the result.
func Files() []File { return slices.Clone(files[:]) }

// Lookup returns the id of the file with the given path.
func Lookup(path string) (FileID, bool) {
	i := slices.IndexFunc(files[:], func(f File) bool { return f.Path == path })
	return FileID(i), i >= 0
}
