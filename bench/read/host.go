package read

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"cloister/cgroupview"
)

// describe begins a result with what was measured.
func (b *bench) describe(layout *cgroupview.Layout) (*Result, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return nil, err
	}
	r := &Result{
		Date: time.Now().UTC().Truncate(time.Second), Kernel: unix.ByteSliceToString(u.Release[:]),
		CPUs: runtime.NumCPU(), Cgroups: layout.Mode().String(),
		Cloister: b.Cloister.Version, LXCFS: b.LXCFS.Version,
	}
	if all, err := procfs.NewDefaultFS(); err == nil {
		if cpus, err := all.CPUInfo(); err == nil && len(cpus) > 0 {
			r.CPU = strings.TrimSpace(cpus[0].ModelName)
		}
	}
	return r, nil
}

// look reads each file once, and leaves out those that are empty.
func (b *bench) look(r *Result) error {
	for _, f := range b.Files {
		s := Size{File: f}
		var err error
		for i, size := range [targets]*int{&s.Kernel, &s.Cloister, &s.LXCFS} {
			if slices.Contains(b.targets(), i) && err == nil {
				*size, err = b.size(i, f)
			}
		}
		switch {
		case errors.Is(err, errEmpty):
			r.Empty = append(r.Empty, f)
		case err != nil:
			return err
		default:
			r.Sizes = append(r.Sizes, s)
		}
	}
	b.Files = nil
	for _, s := range r.Sizes {
		b.Files = append(b.Files, s.File)
	}
	if len(b.Files) == 0 {
		return fmt.Errorf("nothing to measure: %v are empty", r.Empty)
	}
	return nil
}

// size reads a target's file.
func (b *bench) size(target int, file string) (int, error) {
	reader := b.readers[0]
	reader.jobs <- job{paths: []string{place(target, file)}, op: Open, cpu: -1, zero: time.Now()}
	if err := <-reader.done; err != nil {
		return 0, fmt.Errorf("the %s's %s: %w", targetNames[target], file, err)
	}
	return reader.loop.size, nil
}

// FindLXCFS finds the process that serves lxcfs at dir, by its arguments.
func FindLXCFS(dir string) (Server, error) {
	all, err := procfs.AllProcs()
	if err != nil {
		return Server{}, err
	}
	for _, p := range all {
		args, err := p.CmdLine()
		if name, e := p.Comm(); e != nil || err != nil || name != "lxcfs" {
			continue
		}
		if slices.ContainsFunc(args[1:], func(a string) bool { return sameDir(a, dir) }) {
			return Server{PID: p.PID}, nil
		}
	}
	return Server{}, fmt.Errorf("no process lxcfs has %s among its arguments", dir)
}

func sameDir(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}
