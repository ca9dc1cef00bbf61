package read

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"time"

	"cloister/cgroupview"
)

// Server is a process that serves files.
type Server struct {
	PID     int
	Version string
}

// Options say what to measure.
type Options struct {
	// PID is a process of the container, Cgroups its cgroup.
	PID     int
	Cgroups cgroupview.Paths
	// Files are paths in the container, of views.
	Files    []string
	Cloister Server
	// LXCFSDir is where lxcfs is mounted, "" if it is not to be measured.
	LXCFSDir string
	LXCFS    Server
	// Duration is how long to measure in all, about.
	Duration time.Duration
}

// bench is a run.
type bench struct {
	Options
	stage   *stage
	readers []*reader
	cpu     int // for what is pinned
	slice   time.Duration
	rounds  int
}

// How the time is divided: into rounds with slices of this length; if these are too few,
// they get shorter instead.
const (
	wantedSlice = 50 * time.Millisecond
	minRounds   = 5
	warmUp      = 2 * time.Millisecond // before each slice
)

// Run measures. It moves this process into the container's cgroup meanwhile, and for a
// part of the time the servers' threads onto one CPU.
func Run(ctx context.Context, o Options) (_ *Result, err error) {
	b := &bench{Options: o}
	layout, err := cgroupview.Detect("/")
	if err != nil {
		return nil, err
	}
	r, err := b.describe(layout)
	if err != nil {
		return nil, err
	}
	if b.stage, err = newStage(sources{b.Files, o.PID, o.LXCFSDir}); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.stage.close()) }()
	back, err := join(layout, o.Cgroups)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, back()) }()
	defer quiet()()
	defer b.dismiss()
	if err := b.hire(); err != nil {
		return nil, err
	}
	if err := b.look(r); err != nil {
		return nil, err
	}
	return r, b.measure(ctx, r)
}

// divide chooses the rounds and the length of a slice.
func (b *bench) divide() {
	n := time.Duration(len(b.targets()) * (len(cases(b.Files, Pinned)) + len(cases(b.Files, Free))))
	b.slice = wantedSlice
	b.rounds = int(b.Duration/(n*(b.slice+warmUp))) - 1 // the first round is not counted
	if b.rounds < minRounds {
		b.rounds = minRounds
		b.slice = max(b.Duration/(n*(minRounds+1))-warmUp, time.Millisecond)
	}
}

// targets returns what is read, by number.
func (b *bench) targets() []int {
	if b.LXCFSDir == "" {
		return []int{kernel, cloister}
	}
	return []int{kernel, cloister, lxcfs}
}

// quiet keeps Go's scheduler and garbage collector out of what is measured: each reader
// keeps a processor of its own, and the rest of the program has two.
func quiet() (undo func()) {
	runtime.GC()
	procs := runtime.GOMAXPROCS(runtime.NumCPU() + manyThreads + 2)
	percent := debug.SetGCPercent(-1)
	return func() {
		debug.SetGCPercent(percent)
		runtime.GOMAXPROCS(procs)
	}
}

// hire starts the readers.
func (b *bench) hire() (err error) {
	if b.cpu, err = lastCPU(); err != nil {
		return err
	}
	for range manyThreads {
		r, err := newReader(b.stage)
		if err != nil {
			return err
		}
		b.readers = append(b.readers, r)
	}
	return nil
}

// dismiss ends the readers.
func (b *bench) dismiss() {
	for _, r := range b.readers {
		close(r.jobs)
	}
}

// measure fills in the result: what is pinned comes first, and then the rest.
func (b *bench) measure(ctx context.Context, r *Result) error {
	b.divide()
	r.Rounds, r.Slice = b.rounds, b.slice
	pinned, err := b.pinned(ctx)
	if err != nil {
		return err
	}
	free, err := b.turns(ctx, Free)
	if err != nil {
		return err
	}
	for _, c := range slices.Concat(pinned, free) {
		r.Cases = append(r.Cases, c.measured())
	}
	r.Scaling = scaling(free)
	r.Goals = goals(r)
	return nil
}

func (b *bench) pinned(ctx context.Context) (_ []*rounds, err error) {
	pids := []int{b.Cloister.PID}
	if b.LXCFSDir != "" {
		pids = append(pids, b.LXCFS.PID)
	}
	p, err := pin(b.cpu, pids)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.undo()) }()
	return b.turns(ctx, Pinned)
}

// turns measures all cases of a placement, round by round. Each round begins with
// another target. The first round is for the servers to get used to the placement.
func (b *bench) turns(ctx context.Context, p Placement) ([]*rounds, error) {
	var all []*rounds
	for _, c := range cases(b.Files, p) {
		all = append(all, &rounds{Case: c})
	}
	order := b.targets()
	for i := range b.rounds + 1 {
		order = append(order[1:], order[0])
		for _, c := range all {
			for _, target := range order {
				if ctx.Err() != nil {
					return nil, errors.New("interrupted")
				}
				s, err := b.one(c.Case, target)
				if err != nil {
					return nil, fmt.Errorf("%s, %s: %w", targetNames[target], c.Case, err)
				}
				if i > 0 {
					c.of[target] = append(c.of[target], s)
				}
			}
		}
	}
	return all, nil
}
