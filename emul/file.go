package emul

import (
	"slices"
	"strings"
	"time"

	"cloister/cgroupview"
)

// File is a file that a container sees. It is a directory (Dir), or rendered by render
// or by group.
type File struct {
	// Path is from the root directory, "proc/meminfo". A star in it stands for the
	// members of a series: "sys/devices/system/cpu/cpu*/online" is a file of each
	// CPU.
	Path string
	Mode uint32 // permission bits
	// Dir makes it a directory with nothing in it.
	Dir bool
	// Stable tells that what a container sees of the file changes only when
	// ContainerConfig.Changed is called. No counter and nothing that is in use is in it,
	// and of the host nothing but what comes and goes with CPUs and memory nodes.
	Stable bool

	// render renders from the container's current sample and what in says beside.
	render func(dst []byte, v *view, in input) []byte
	// origin is the host's file that in.host is made of; see derived.
	origin origin
	// nodes tells that render needs in.nodes.
	nodes bool

	// group renders from what the container's cgroup says now, without a sample.
	group func(dst []byte, g *cgroupview.Group) ([]byte, error)

	series series // as Path says: see tabulate
}

// FileID is the index of a file in Files.
type FileID int

func (id FileID) known() bool { return id >= 0 && int(id) < len(files) }

// origin is a file of the host that files of containers are derived from. The zero
// value stands for none: what a file needs is in the host's sample.
type origin struct {
	// path has a star where the host's number of a member stands.
	path  string
	parse func([]byte) (any, error)
	// period is how long the file is relied on, if that is longer than a sample.
	period time.Duration
	// hotplug tells that the file changes only when CPUs or memory nodes come or go.
	hotplug bool
}

// derived returns a file of which parse makes a T of the host's, and render what the
// container sees.
func derived[T any](
	path string, mode uint32, parse func([]byte) (T, error), render func(dst []byte, v *view, host T, in input) []byte,
) File {
	return File{
		Path: path, Mode: mode,
		origin: origin{path: path, parse: func(b []byte) (any, error) { return parse(b) }},
		render: func(dst []byte, v *view, in input) []byte { return render(dst, v, in.host.(T), in) },
	}
}

// untilHotplug says that the host's file changes only when CPUs or memory nodes come or
// go. What else changes in it is seen as it was then.
func (f File) untilHotplug() File {
	f.origin.hotplug = true
	return f
}

// stable says that what the container sees of the file changes no sooner, either.
func (f File) stable() File {
	f.Stable = true
	return f.untilHotplug()
}

// allStable says so of each of the files.
func allStable(list []File) []File {
	for i := range list {
		list[i] = list[i].stable()
	}
	return list
}

// every says for how long the host's file is relied on.
func (f File) every(period time.Duration) File {
	f.origin.period = period
	return f
}

// byNode says that the file is rendered from how the memory lies on the nodes.
func (f File) byNode() File {
	f.nodes = true
	return f
}

// of says which of the host's files it is, where that has another path.
func (f File) of(path string) File {
	f.origin.path = path
	return f
}

// input is what a file is rendered from beside the container's view.
type input struct {
	now time.Duration
	// host is what the origin's parse returned, nil without an origin.
	host any
	// member is the member of a series as the container counts, number as the host
	// does.
	member, number int
	// nodes is nil but for files that are byNode.
	nodes *nodeMemory
}

// files are the emulated files. An index is part of node ids, so none is ever moved or
// taken out, and a new one, wherever it belongs, goes to the end of the last list.
var files = tabulate(procFiles, pressureFiles, cpuFiles, nodeFiles, miscFiles)

// Files returns the emulated files; a FileID is an index of the result.
func Files() []File { return slices.Clone(files) }

// tabulate joins the lists and notes which files are in a series.
func tabulate(lists ...[]File) []File {
	all := slices.Concat(lists...)
	for i := range all {
		all[i].series = seriesOf(all[i].Path)
	}
	return all
}

// View is a file or directory of a container's /proc or /sys in whose place it sees
// one of cloister's.
type View struct {
	Path  string
	Files []FileID // the file, or those in the directory
	// Writable views need a superblock that can be written to.
	Writable bool
	// Pushed views are best kept by the kernel until ContainerConfig.Changed is
	// called: the file is Stable, or in the directory nearly all are. None is Writable.
	Pushed bool
}

// directories are the views that are no single file: all in them is emulated, and
// what this package doesn't know is not there.
var directories = []directory{{path: cpuDir, pushed: true}, {path: nodeDir}}

type directory struct {
	path   string
	pushed bool
}

// Views returns the views that the emulated files make up.
func Views() []View {
	var views []View
	index := map[string]int{}
	for id, f := range files {
		view := viewOf(&f)
		i, ok := index[view.Path]
		if !ok {
			i = len(views)
			index[view.Path] = i
			views = append(views, view)
		}
		views[i].Files = append(views[i].Files, FileID(id))
	}
	return views
}

// viewOf returns the view that a file is in, without its files.
func viewOf(f *File) View {
	for _, dir := range directories {
		if strings.HasPrefix(f.Path, dir.path+"/") {
			return View{Path: dir.path, Pushed: dir.pushed}
		}
	}
	return View{Path: f.Path, Writable: f.Mode&0o222 != 0 && !f.Dir, Pushed: f.Stable}
}
