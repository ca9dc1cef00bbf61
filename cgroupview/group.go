package cgroupview

import "fmt"

// Group is an open cgroup: one directory descriptor per hierarchy, and the
// files of the cgroup and its ancestors, which are opened when they are first read
// and then kept.
//
// Read, NUMA, Pressure and Park need exclusive use of the Group. Tasks, Populated
// and OpenPressure may run beside them, but nothing may run beside Close.
type Group struct {
	dirs     []*dir
	readers  []reader
	numa     *file           // nil if the cgroup has no memory of its own
	pressure *pressureReader // nil if the cgroup has no pressure of its own
	tasks    *dir            // where the tasks are listed; nil if the cgroup is the root everywhere
	buf      []byte
}

// bufSize is enough for all files but those with a line per CPU or device, for
// which the buffer grows.
const bufSize = 4096

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

// Open opens the cgroup with the given paths. It returns ErrGone if the cgroup
// does not exist.
func (l *Layout) Open(p Paths) (*Group, error) {
	g := &Group{}
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
		if g.tasks == nil && d.own() {
			g.tasks = d
		}
		if d.own() || !c.own {
			g.readers = append(g.readers, newReader(d))
		}
		if d.own() && c.v1 == "memory" {
			g.numa = d.file(0, "memory.numa_stat")
		}
	}
	if err := g.openPressure(open, l, p); err != nil {
		g.Close()
		return nil, err
	}
	return g, nil
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
	buf := g.buffer()
	for _, d := range g.dirs {
		d.absent = false
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
	}
	return nil
}

func (g *Group) buffer() *[]byte {
	if g.buf == nil {
		g.buf = make([]byte, bufSize)
	}
	return &g.buf
}

// Park closes the files, each of which costs a page of kernel memory, of a
// cgroup that is not read at present. The next Read opens them again.
func (g *Group) Park() {
	for _, r := range g.readers {
		r.close()
	}
	g.numa.close()
	g.pressure.close()
	g.buf = nil
}

// Close releases all descriptors.
func (g *Group) Close() {
	g.Park()
	for _, d := range g.dirs {
		d.close()
	}
	*g = Group{}
}
