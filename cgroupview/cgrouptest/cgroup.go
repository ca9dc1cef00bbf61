package cgrouptest

import (
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"

	"cloister/cgroupview"
)

// Cgroup is a cgroup of a fake host, at the same path in every hierarchy.
type Cgroup struct {
	host   *Host
	path   string
	values Values
}

// Values are the settings and counters of a cgroup, written in the format of
// the host's mode.
type Values struct {
	MemoryMax, MemoryCurrent uint64 // bytes; NoLimit for none
	SwapMax, SwapCurrent     uint64 // of swap alone, on v1 too
	Stat                     cgroupview.MemoryStat
	Events                   cgroupview.MemoryEvents
	Bandwidth                cgroupview.Bandwidth
	CPUs, Mems               string               // effective sets
	CPUTime                  []cgroupview.CPUTime // by CPU
	IO                       []cgroupview.DeviceIO
	Tasks                    []int

	// NUMA is the memory by node. A kernel built without CONFIG_NUMA, nil here,
	// has none.
	NUMA []cgroupview.NodeMemory
	// Pressure is the content of the pressure files by resource; nil for a kernel
	// without. On a hybrid host they put the cgroup into the cgroup2 tree, too.
	Pressure map[string]string
}

// Cgroup makes the cgroup with an absolute path and those above it, idle and
// unlimited.
func (h *Host) Cgroup(name string) *Cgroup {
	h.tb.Helper()
	c := &Cgroup{host: h, path: name, values: Values{
		MemoryMax: cgroupview.NoLimit,
		SwapMax:   cgroupview.NoLimit,
		CPUs:      allCPUs,
		Mems:      allMems,
		CPUTime:   make([]cgroupview.CPUTime, 4),
	}}
	if parent := path.Dir(name); parent != "/" {
		if _, err := os.Stat(h.Root.Path(c.dir("memory"), "..", "cgroup.procs")); err != nil {
			h.Cgroup(parent)
		}
	}
	c.Update(func(*Values) {})
	return c
}

// Paths returns the cgroup as /proc/PID/cgroup would name it.
func (c *Cgroup) Paths() cgroupview.Paths {
	p := cgroupview.Paths{V1: map[string]string{}}
	if c.host.Mode != cgroupview.Unified {
		for _, mount := range v1Mounts {
			for controller := range strings.SplitSeq(mount, ",") {
				p.V1[controller] = c.path
			}
		}
	}
	switch c.host.Mode {
	case cgroupview.Hybrid:
		p.Unified = "/"
		if c.values.Pressure != nil {
			p.Unified = c.path
		}
	case cgroupview.Unified:
		p.Unified = c.path
	}
	return p
}

// Open opens the cgroup. The caller closes the group.
func (c *Cgroup) Open() *cgroupview.Group {
	c.host.tb.Helper()
	g, err := c.host.Layout().Open(c.Paths())
	if err != nil {
		c.host.tb.Fatal(err)
	}
	return g
}

// Remove removes the cgroup from every hierarchy.
func (c *Cgroup) Remove() {
	c.host.tb.Helper()
	var dirs []string
	for _, mount := range v1Mounts {
		dirs = append(dirs, c.dir(mount))
	}
	if c.host.Mode == cgroupview.Hybrid {
		dirs = append(dirs, c.host.unifiedDir()+c.path)
	}
	for _, dir := range dirs {
		if err := os.RemoveAll(c.host.Root.Path(dir)); err != nil {
			c.host.tb.Fatal(err)
		}
	}
}

// File returns the path, below the host's root, of a file of the cgroup.
// controller is one of v1's, as mounted.
func (c *Cgroup) File(controller, name string) string { return c.dir(controller) + "/" + name }

func (c *Cgroup) dir(mount string) string {
	if c.host.Mode == cgroupview.Unified {
		return c.host.unifiedDir() + c.path
	}
	return v1Dir(mount) + c.path
}

// Update changes the cgroup's values and writes its files.
func (c *Cgroup) Update(change func(*Values)) {
	c.host.tb.Helper()
	change(&c.values)
	if c.host.Mode == cgroupview.Unified {
		c.writeV2(&c.values)
	} else {
		c.writeV1(&c.values)
	}
	c.writeNUMA(c.values.NUMA)
	c.writePressure(c.values.Pressure)
}

func (c *Cgroup) write(controller, name, format string, args ...any) {
	c.host.tb.Helper()
	c.host.Write(c.File(controller, name), fmt.Sprintf(format, args...))
}

func taskList(tasks []int) string {
	var b strings.Builder
	for _, tid := range tasks {
		b.WriteString(strconv.Itoa(tid) + "\n")
	}
	return b.String()
}
