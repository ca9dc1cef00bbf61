package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"cloister/emul"
	"cloister/internal/sealed"
)

// state is how things are with so many containers.
type state struct {
	containers  int
	alone, many time.Duration // p50 of a read, of the first container and of any
	memory      memory
	idle        time.Duration // of CPU time of the daemon per second in which nobody reads
}

// memory is what is in use, in bytes.
type memory struct {
	daemon int64 // its resident set, with what it has of shared memory
	slab   int64 // the kernel's of what views need, on the whole host
	files  int   // that the daemon has open
}

func (b *bench) state(ctx context.Context, n int) (*state, error) {
	s := &state{containers: n}
	var err error
	if s.memory, err = b.memory(); err != nil {
		return nil, err
	}
	if s.alone, s.many, err = b.latency(n); err != nil {
		return nil, err
	}
	s.idle, err = b.idle(ctx)
	return s, err
}

// idlePeriod is long enough for the daemon to have parked all containers and to have
// sampled their load.
const idlePeriod = 20 * time.Second

// idle returns the CPU time that the daemon uses per second while nobody reads.
func (b *bench) idle(ctx context.Context) (time.Duration, error) {
	before, err := b.cpuTime()
	if err != nil {
		return 0, err
	}
	select {
	case <-time.After(idlePeriod): // which is what is measured
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	after, err := b.cpuTime()
	return time.Duration((after - before) / idlePeriod.Seconds() * float64(time.Second)), err
}

func (b *bench) cpuTime() (seconds float64, err error) {
	p, err := procfs.NewProc(b.daemon)
	if err != nil {
		return 0, err
	}
	stat, err := p.Stat()
	return stat.CPUTime(), err
}

func (b *bench) memory() (memory, error) {
	p, err := procfs.NewProc(b.daemon)
	if err != nil {
		return memory{}, err
	}
	status, err := p.NewStatus()
	if err != nil {
		return memory{}, err
	}
	files, err := p.FileDescriptorsLen()
	if err != nil {
		return memory{}, err
	}
	slab, err := slabs()
	return memory{int64(status.VmRSS), slab, files}, err
}

// kinds are the kernel's objects that views have: inodes, dentries and mounts, and the
// cgroup files that the daemon keeps open. Most of the rest is other programs'.
var kinds = []string{"fuse_inode", "dentry", "mnt_cache", "filp"}

// slabs returns the size of these objects that are in use.
func slabs() (int64, error) {
	host, err := procfs.NewDefaultFS()
	if err != nil {
		return 0, err
	}
	info, err := host.SlabInfo()
	if err != nil {
		return 0, err
	}
	var size int64
	for _, s := range info.Slabs {
		if slices.Contains(kinds, s.Name) {
			size += s.ObjActive * s.ObjSize
		}
	}
	return size, nil
}

// How the latency of a read is taken.
const (
	reads = 500
	// pause is longer than a sample of a container's figures is good for: each read pays
	// for a new one, however many containers there are.
	pause = emul.DefaultPeriod * 6 / 5
)

// latency reads the meminfo of the first n containers in turn, from each at least once
// before it counts, and that of the first one in between: alone is what a read of one
// costs that is read all the time, and many of one among many.
func (b *bench) latency(n int) (alone, many time.Duration, err error) {
	paths := make([]string, n)
	for i := range paths {
		v := b.views[i]
		at := slices.IndexFunc(v.Views.Views, func(w sealed.View) bool { return w.Path == "proc/meminfo" })
		if at < 0 {
			return 0, 0, errors.New("there is no view of /proc/meminfo")
		}
		paths[i] = v.Views.Views[at].Source
		if _, err := readAll(paths[i]); err != nil {
			return 0, 0, err
		}
	}
	var times [2][]time.Duration
	for i := range reads {
		for j, path := range []string{paths[0], paths[i*n/reads]} { // spread over all of them
			for begin := time.Now(); time.Since(begin) < pause; {
			}
			took, err := readAll(path)
			if err != nil {
				return 0, 0, err
			}
			times[j] = append(times[j], took)
		}
	}
	return quantile(times[0], 0.5), quantile(times[1], 0.5), nil
}

// readAll opens a file, reads it to its end and closes it, and returns how long it took.
func readAll(path string) (time.Duration, error) {
	begin := time.Now()
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	var buf [64 << 10]byte
	for {
		n, err := unix.Read(fd, buf[:])
		if err != nil {
			return 0, fmt.Errorf("read %s: %w", path, err)
		}
		if n == 0 {
			return time.Since(begin), nil
		}
	}
}

// quantile returns the value below which the part q of all lies, rounded for printing.
func quantile(all []time.Duration, q float64) time.Duration {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(all))
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)].Round(time.Microsecond)
}
