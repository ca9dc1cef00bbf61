package cgroupview

// cpusetReader reads the CPUs that the tasks of a cgroup may run on, and the
// nodes that they may take memory of.
type cpusetReader struct{ cpus, mems nearestSet }

func newCPUSetV2(d *dir) reader {
	return &cpusetReader{newNearestSet(d, effectiveCPUs(true)), newNearestSet(d, "cpuset.mems.effective")}
}

func newCPUSetV1(d *dir) reader {
	return &cpusetReader{newNearestSet(d, effectiveCPUs(false)), newNearestSet(d, "cpuset.effective_mems")}
}

func effectiveCPUs(v2 bool) string {
	if v2 {
		return "cpuset.cpus.effective"
	}
	return "cpuset.effective_cpus"
}

// TopCPUs returns the CPUs that the root of the hierarchy has for all cgroups: those
// that are online, without those of partitions. It returns none where that can't be
// seen.
func (g *Group) TopCPUs() (CPUSet, error) {
	var s CPUSet
	if g.topCPUs == nil {
		return s, nil
	}
	buf := g.buffers.take()
	defer g.buffers.give(buf)
	_, err := g.topCPUs.parse(buf, s.parse)
	return s, err
}

func (r *cpusetReader) read(buf *[]byte, u *Usage) error {
	if err := r.cpus.read(buf, &u.CPUs); err != nil {
		return err
	}
	return r.mems.read(buf, &u.Mems)
}

func (r *cpusetReader) close() {
	r.cpus.close()
	r.mems.close()
}

// nearestSet is one file, the cgroup's own level first.
type nearestSet []*file

// newNearestSet also looks at the root of the hierarchy, which has the set of
// everything that is online.
func newNearestSet(d *dir, name string) nearestSet {
	levels := d.levels
	if d.top {
		levels++
	}
	r := make(nearestSet, levels)
	for i := range r {
		r[i] = d.file(i, name)
	}
	return r
}

// read takes the nearest level that has the controller. A v1 cgroup that nobody
// has configured has an empty set and can hold no tasks; its parent's counts.
func (r nearestSet) read(buf *[]byte, s *CPUSet) error {
	for _, f := range r {
		if _, err := f.parse(buf, s.parse); err != nil {
			return err
		}
		if len(s.words) > 0 {
			return nil
		}
	}
	return nil
}

func (r nearestSet) close() {
	for _, f := range r {
		f.close()
	}
}
