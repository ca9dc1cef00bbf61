package cgrouptest

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Task is a thread of a fake host.
type Task struct {
	TID   int
	Comm  string
	State byte          // as in /proc/PID/stat; 0 means sleeping
	NSpid []int         // its ids in the namespaces below the host's, outermost first
	Start time.Duration // CLOCK_BOOTTIME

	VoluntarySwitches, NonvoluntarySwitches uint64 // context switches
}

// AddTask makes the /proc entries of a thread that is the first of its process,
// and puts it into the cgroup.
func (c *Cgroup) AddTask(t Task) {
	c.host.tb.Helper()
	c.Update(func(v *Values) { v.Tasks = append(v.Tasks, t.TID) })
	c.SetTask(t)
	var cgroup strings.Builder
	p := c.Paths()
	for controller, path := range p.V1 {
		fmt.Fprintf(&cgroup, "1:%s:%s\n", controller, path)
	}
	if p.Unified != "" {
		fmt.Fprintf(&cgroup, "0::%s\n", p.Unified)
	}
	c.host.Write(fmt.Sprintf("proc/%d/cgroup", t.TID), cgroup.String())
}

// SetTask rewrites the /proc entries of a thread.
func (c *Cgroup) SetTask(t Task) {
	c.host.tb.Helper()
	if t.State == 0 {
		t.State = 'S'
	}
	const userHZ = 100
	// Fields as in proc_pid_stat(5): 3 is the state, 22 the start time.
	stat := fmt.Sprintf("%d (%s) %c 1 1 1 0 -1 4194560 100 0 0 0 1 1 0 0 20 0 1 0 %d 4096 10 18446744073709551615\n",
		t.TID, t.Comm, t.State, int64(t.Start)*userHZ/int64(time.Second))
	c.host.Write(fmt.Sprintf("proc/%d/stat", t.TID), stat)
	nspid := strconv.Itoa(t.TID)
	for _, id := range t.NSpid {
		nspid += "\t" + strconv.Itoa(id)
	}
	comm := strings.NewReplacer("\\", `\\`, "\n", `\n`).Replace(t.Comm)
	c.host.Write(fmt.Sprintf("proc/%d/status", t.TID), fmt.Sprintf(
		"Name:\t%s\nUmask:\t0022\nState:\t%c (running)\nTgid:\t%d\nPid:\t%d\nNStgid:\t%s\nNSpid:\t%s\nThreads:\t1\n"+
			"voluntary_ctxt_switches:\t%d\nnonvoluntary_ctxt_switches:\t%d\n",
		comm, t.State, t.TID, t.TID, nspid, nspid, t.VoluntarySwitches, t.NonvoluntarySwitches))
}
