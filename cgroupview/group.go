package cgroupview

import (
	"fmt"
	"slices"
)

// Group is an open cgroup: the files of the cgroup and its ancestors in each hierarchy.
// They are opened when they are first read and then kept until Park.
//
// Read, OpenFiles, NUMA, Pressure, TopCPUs and Park need exclusive use of the Group. Tasks, Populated
// and OpenPressure may run beside them, but nothing may run beside Close.
type Group struct {
	dirs     []*dir
	readers  []reader
	numa     *file           // nil if the cgroup has no memory of its own
	pressure *pressureReader // nil if the cgroup has no pressure of its own
	topCPUs  *file           // nil if the root of the hierarchy can't be seen
	limits   []*dir          // those that decide on CPUs, memory and its nodes
	tasks    *dir            // where the tasks are listed; nil if the cgroup is the root everywhere
	buffers  *buffers
}

// A reader fills its part of a Usage, which it finds empty, from the files of
// one controller in one hierarchy.
type reader interface {
	read(buf *[]byte, u *Usage) error
	// close closes the files; a later read opens them again.
	close()
}

// controllers says what a Group reads. A controller is looked for among the v1
// hierarchies and then in the cgroup2 tree. own marks those that tell usage
// only, and nothing about a cgroup that is the root of its hierarchy.
//
// The order is that of preference for listing tasks, too: it starts with the
// hierarchies in which an engine is most likely to have made a cgroup.
var controllers = []struct {
	v1           string
	newV1, newV2 func(*dir) reader
	own          bool
}{
	{v1: "memory", newV1: newMemoryV1, newV2: newMemoryV2},
	{v1: "pids", newV1: newPids, newV2: newPids, own: true},
	{v1: "cpu", newV1: newBandwidthV1, newV2: newBandwidthV2},
	{v1: "cpuacct", newV1: newCPUTimeV1, newV2: newCPUTimeV2, own: true},
	{v1: "cpuset", newV1: newCPUSetV1, newV2: newCPUSetV2},
	{v1: "blkio", newV1: newIOV1, newV2: newIOV2, own: true},
}

// limiting are the controllers whose limits a Watcher watches.
var limiting = []string{"memory", "cpu", "cpuset"}

// Open opens the cgroup with the given paths. It returns ErrGone if the cgroup
// does not exist.
func (l *Layout) Open(p Paths) (*Group, error) {
	g := &Group{buffers: &l.buffers}
	open := map[*hierarchy]*dir{}
	for _, c := range controllers {
		h, path := l.find(c.v1, p)
		if h == nil {
			continue
		}
		newReader := c.newV1
		if h.v2 {
			newReader = c.newV2
		}
		d, err := g.openDir(open, h, path)
		if err != nil {
			g.Close()
			return nil, err
		}
		if d.own() || !c.own {
			g.readers = append(g.readers, newReader(d))
		}
		g.note(c.v1, d)
	}
	if err := g.openPressure(open, l, p); err != nil {
		g.Close()
		return nil, err
	}
	return g, nil
}

// note takes what else than a reader there is in the directory of a controller.
func (g *Group) note(controller string, d *dir) {
	if g.tasks == nil && d.own() {
		g.tasks = d
	}
	if controller == "memory" && d.own() {
		g.numa = d.file(0, "memory.numa_stat")
	}
	if controller == "cpuset" && d.top {
		g.topCPUs = d.file(d.levels, effectiveCPUs(d.v2))
	}
	if slices.Contains(limiting, controller) && !slices.Contains(g.limits, d) {
		g.limits = append(g.limits, d)
	}
}

// find returns the hierarchy that a controller is read in, and the path there;
// nil if it is nowhere.
func (l *Layout) find(controller string, p Paths) (*hierarchy, string) {
	if h := l.v1[controller]; h != nil {
		return h, p.V1[controller]
	}
	return l.v2, p.Unified
}

// openDir opens the cgroup of one hierarchy, once for all of its controllers.
func (g *Group) openDir(open map[*hierarchy]*dir, h *hierarchy, path string) (*dir, error) {
	if d := open[h]; d != nil {
		return d, nil
	}
	d, err := openDir(h, path)
	if err != nil {
		return nil, err
	}
	open[h] = d
	g.dirs = append(g.dirs, d)
	return d, nil
}

// Read reads limits and usage into u. Each file is read with one pread, and the
// ancestors in one walk per controller. Read returns ErrGone if the cgroup has
// been removed; after any error the content of u is undefined.
func (g *Group) Read(u *Usage) error {
	u.reset()
	buf := g.buffers.take()
	defer g.buffers.give(buf)
	for _, d := range g.dirs {
		d.absent, d.missed = false, false
	}
	for _, r := range g.readers {
		if err := r.read(buf, u); err != nil {
			return err
		}
	}
	for _, d := range g.dirs {
		if d.absent && d.gone() {
			return fmt.Errorf("read cgroup %s: %w", d.path, ErrGone)
		}
		if !d.missed { // the next read looks for what is missing again, and for nothing else
			d.close()
		}
	}
	return nil
}

// OpenFiles returns how many descriptors the Group has, all of which Park closes.
func (g *Group) OpenFiles() int {
	n := 0
	for _, d := range g.dirs {
		if n += int(d.files); d.fd >= 0 {
			n++
		}
	}
	return n
}

// Park closes the descriptors, each of which costs kernel memory, of a cgroup that is
// not read at present. The next Read opens them again.
func (g *Group) Park() {
	for _, r := range g.readers {
		r.close()
	}
	g.numa.close()
	g.topCPUs.close()
	g.pressure.close()
	for _, d := range g.dirs {
		d.close()
	}
}

// Close releases all descriptors.
func (g *Group) Close() {
	g.Park()
	*g = Group{buffers: g.buffers}
}
