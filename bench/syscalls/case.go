// Package syscalls says which system calls and programs are measured in containers, what
// they should cost beside the same container without cloister, and shows what they do.
//
// A container of each kind runs the probe (the program in probe), which measures a case
// whenever it is asked to. The containers take turns.
package syscalls

// Case is something that a container does.
type Case struct {
	Name string
	// Admin tells that it needs the container with CAP_SYS_ADMIN, which has no profile of
	// an engine. The others are in the container that has docker's.
	Admin bool
	// Count is how often it is done in a round.
	Count int
	// Views tells that what is mounted must have views over it.
	Views bool
	// Parts are what of it is timed.
	Parts []Part
}

// Part is one call or program.
type Part struct {
	Name string `json:"name"`
	// Goal is how many times as long as without cloister it may take, and Limit how many
	// microseconds. 0 is no goal.
	Goal  float64 `json:"goal,omitempty"`
	Limit float64 `json:"limit,omitempty"`
	// Sysbox is what it took Sysbox on another machine, nil if it was not measured.
	Sysbox *Reference `json:"sysbox,omitempty"`
}

// Reference is a figure that was measured elsewhere, in microseconds.
type Reference struct {
	Kernel float64 `json:"kernel"`
	Time   float64 `json:"time"`
}

// HasGoal reports whether there is a goal for it.
func (p *Part) HasGoal() bool { return p.Goal > 0 || p.Limit > 0 }

// Ratio is how many times as long as the kernel alone it took.
func (r *Reference) Ratio() float64 { return r.Time / r.Kernel }

// What the probe can do.
const (
	GetPPID      = "getppid"
	Stat         = "stat"
	SysInfo      = "sysinfo"
	Affinity     = "affinity"
	MountTmpfs   = "tmpfs"
	MountProc    = "proc"
	MountSysfs   = "sysfs"
	MountBind    = "bind"
	ReadSysctls  = "sysctl"
	Find         = "find"
	Compile      = "compile"
	GetPPIDAdmin = "getppid, admin"
)

// Cases are all that is measured, in the order of the table.
var Cases = []Case{
	{Name: GetPPID, Count: 20, Parts: []Part{{Name: "getppid, docker's profile", Goal: untrapped}}},
	{Name: Stat, Count: 20, Parts: []Part{{Name: "stat, docker's profile", Goal: untrapped}}},
	{Name: GetPPIDAdmin, Admin: true, Count: 20, Parts: []Part{{Name: "getppid, our profile alone", Goal: 1.5}}},
	{Name: SysInfo, Count: 2000, Parts: []Part{{Name: "sysinfo", Limit: 30}}},
	{Name: Affinity, Count: 2000, Parts: []Part{{Name: "sched_getaffinity", Limit: 30}}},
	{Name: MountTmpfs, Admin: true, Count: 300, Parts: []Part{
		{Name: "mount tmpfs", Limit: 80, Sysbox: &Reference{3.7, 181}},
		{Name: "umount tmpfs", Sysbox: &Reference{7.1, 197}},
	}},
	{Name: MountBind, Admin: true, Count: 300, Parts: []Part{
		{Name: "mount a bind", Limit: 80},
		{Name: "umount a bind"},
	}},
	{Name: MountProc, Admin: true, Views: true, Count: 40, Parts: []Part{
		{Name: "mount proc", Limit: 2000, Sysbox: &Reference{5.3, 13_600}},
		{Name: "umount proc", Sysbox: &Reference{7.5, 7_900}},
	}},
	{Name: MountSysfs, Admin: true, Views: true, Count: 40, Parts: []Part{
		{Name: "mount sysfs", Limit: 2000},
		{Name: "umount sysfs"},
	}},
	{Name: ReadSysctls, Count: 1, Parts: []Part{{Name: "sysctl -a", Goal: 1.5, Sysbox: &Reference{15_000, 5_400_000}}}},
	{Name: Find, Count: 1, Parts: []Part{{Name: "find /", Goal: untrapped}}},
	{Name: Compile, Count: 1, Parts: []Part{{Name: "go build", Goal: untrapped}}},
}

// untrapped is the goal for what no process is asked about.
const untrapped = 1.1
