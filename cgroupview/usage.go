package cgroupview

// Usage is one reading of a Group. Its zero value is ready for use; a Usage
// that is read into again reuses its memory, so that reading allocates nothing
// once the slices have grown.
type Usage struct {
	Memory Memory
	Swap   Swap

	// Bandwidth is the lowest CPU quota of the cgroup and its ancestors.
	Bandwidth Bandwidth
	// CPUs is the set that the cgroup's tasks may run on. It is empty if the
	// host has no cpuset controller, which means every online CPU.
	CPUs CPUSet
	// Mems is the set of memory nodes that the tasks may use. It is empty if
	// the host has no cpuset controller, which means every node.
	Mems CPUSet

	// CPUTimeOwn is false, and CPUTime 0, if the cgroup's CPU time is not
	// accounted.
	CPUTimeOwn bool
	CPUTime    CPUTime
	// PerCPU splits CPUTime by CPU number. It is empty on v2, which does not
	// count by CPU.
	PerCPU []CPUTime

	// IOOwn is false, and IO empty, if the cgroup's I/O is not accounted.
	IOOwn bool
	IO    []DeviceIO

	// PidsOwn is false, and Pids 0, if the cgroup's tasks are not counted.
	PidsOwn bool
	Pids    uint64
}

func (u *Usage) reset() {
	*u = Usage{
		CPUs:   CPUSet{words: u.CPUs.words[:0]},
		Mems:   CPUSet{words: u.Mems.words[:0]},
		PerCPU: u.PerCPU[:0],
		IO:     u.IO[:0],
	}
	u.Memory.Account = absentAccount
	u.Swap = Swap{Account: absentAccount, Swappiness: -1}
}
