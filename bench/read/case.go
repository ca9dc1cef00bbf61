package read

import (
	"fmt"
	"slices"
)

// Op is one way to read a file.
type Op string

// What programs do: most open, read to the end and close; top and the like keep the file
// open and read it anew from the beginning.
const (
	Open  Op = "open"  // open, read(64 KiB) until it returns 0, close
	Pread Op = "pread" // pread(64 KiB) at 0
)

// Placement says which CPUs readers and servers run on.
type Placement string

// On one CPU for all, software alone costs; otherwise the scheduler's choice and the
// latency of waking another CPU decide.
const (
	Pinned Placement = "pinned"
	Free   Placement = "free"
)

// Case is something to measure. Of n threads, thread i reads the files i, i+n, i+2n, …
// in turn.
type Case struct {
	Files     []string  `json:"files"`
	Op        Op        `json:"op"`
	Threads   int       `json:"threads"`
	Placement Placement `json:"placement"`
}

// String names the case in errors.
func (c Case) String() string {
	return fmt.Sprintf("%s of %v by %d threads, %s", c.Op, c.Files, c.Threads, c.Placement)
}

func (c Case) equal(o Case) bool {
	return slices.Equal(c.Files, o.Files) && c.Op == o.Op && c.Threads == o.Threads && c.Placement == o.Placement
}

// manyThreads is how many threads read where it is not one.
const manyThreads = 4

// Files are what is read by default, those first that four threads read.
func Files() []string {
	return []string{
		"/proc/meminfo", "/proc/stat", "/proc/uptime", "/proc/loadavg", "/proc/cpuinfo",
		"/proc/swaps", "/proc/diskstats", "/sys/devices/system/cpu/online",
	}
}

// pushed are the files that change only when limits do: their pages are pushed to the
// kernel beforehand, and a read asks nobody.
var pushed = []string{"/proc/cpuinfo", "/sys/devices/system/cpu/online"}

var ops = []Op{Open, Pread}

// cases returns what to measure in one placement.
func cases(files []string, p Placement) []Case {
	var all []Case
	for _, f := range files {
		for _, op := range ops {
			all = append(all, Case{[]string{f}, op, 1, p})
		}
	}
	if p == Pinned {
		return all
	}
	different := different(files)
	same := slices.Repeat(files[:1], manyThreads)
	for _, op := range ops {
		all = append(all, Case{different, op, 1, p}, Case{different, op, manyThreads, p}, Case{same, op, manyThreads, p})
	}
	return all
}

// different returns a file for each of four threads.
func different(files []string) []string {
	var out []string
	for i := range manyThreads {
		out = append(out, files[i%len(files)])
	}
	return out
}
