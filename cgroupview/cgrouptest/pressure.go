package cgrouptest

import (
	"fmt"

	"cloister/cgroupview"
)

// Pressure returns the content of a pressure file of which both totals are the same,
// in microseconds.
func Pressure(total uint64) string {
	return fmt.Sprintf("some avg10=1.25 avg60=0.50 avg300=0.07 total=%[1]d\nfull avg10=0.75 avg60=0.25 avg300=0.03 total=%[1]d\n", total)
}

// PressureFile returns the path, below the host's root, of a pressure file of the
// cgroup.
func (c *Cgroup) PressureFile(resource string) string {
	return c.host.unifiedDir() + c.path + "/" + resource + ".pressure"
}

func (c *Cgroup) writePressure(pressure map[string]string) {
	c.host.tb.Helper()
	if c.host.Mode == cgroupview.Legacy {
		return
	}
	if pressure != nil {
		c.host.Write(c.host.unifiedDir()+c.path+"/cgroup.procs", taskList(c.values.Tasks))
	}
	for resource, text := range pressure {
		c.host.Write(c.PressureFile(resource), text)
	}
}
