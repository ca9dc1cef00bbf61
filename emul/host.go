package emul

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"cloister/cgroupview"
)

// DefaultPeriod is how old a sample may be by default. Of limits that are written a
// container which is watched has a new one sooner; see resampler.
const DefaultPeriod = 5 * time.Millisecond

// HostOptions are the settings of a Host. The zero value is right for a daemon.
type HostOptions struct {
	// Root is where the host's files are seen.
	Root cgroupview.Root
	// Period is the age up to which samples are used; DefaultPeriod if 0.
	Period time.Duration
	// Clock returns CLOCK_BOOTTIME, the time base of every time in this
	// package; the system's clock if nil.
	Clock func() time.Duration
	// OpenFiles is how many descriptors the process can have; RLIMIT_NOFILE if 0.
	OpenFiles int
}

// Host is what all containers of a host share: its files, read once for all of
// them, and the goroutine that samples their loads. It is safe for concurrent
// use.
type Host struct {
	root      cgroupview.Root
	period    time.Duration
	now       func() time.Duration
	syncClock func()

	meminfoFile, onlineFile, nodesFile hostFile

	sample    cached[hostSample]
	origins   origins
	usages    sync.Pool // of *cgroupview.Usage, for samples that are being taken
	openFiles *openFiles

	loads     *loadSampler
	resampler *resampler
	events    lazyWatcher // of pressure
}

// hostSample is what every sample of a container is measured against.
type hostSample struct {
	meminfo *hostMeminfo
	online  cgroupview.CPUSet
	nodes   cgroupview.CPUSet // memory nodes
	// nodeCPUs are the CPUs of each node.
	nodeCPUs map[int]cgroupview.CPUSet
}

// NewHost returns a Host, whose goroutines run until Close. It fails if
// the host's memory or set of CPUs cannot be read.
func NewHost(opts HostOptions) (*Host, error) {
	h := &Host{root: opts.Root, period: opts.Period, now: opts.Clock, syncClock: func() {}}
	if h.period == 0 {
		h.period = DefaultPeriod
	}
	if h.now == nil {
		clock := newBootClock()
		h.now, h.syncClock = clock.now, clock.sync
	}
	h.meminfoFile.path = h.root.Path("proc/meminfo")
	h.onlineFile.path = h.root.Path(cpuDir, "online")
	h.nodesFile.path = h.root.Path(nodeDir, "online")
	h.sample = cached[hostSample]{period: h.period, read: h.readSample}
	h.usages.New = func() any { return new(cgroupview.Usage) }
	h.openFiles = newOpenFiles(opts.OpenFiles)
	h.origins.open(h)
	if _, err := h.sample.get(h.now()); err != nil {
		h.closeFiles()
		return nil, fmt.Errorf("sample host: %w", err)
	}
	h.loads = newLoadSampler(h.now)
	go h.loads.run()
	h.resampler = startResampler(h)
	return h, nil
}

// Close stops the goroutines and waits for their end. Containers of the host must
// not be used afterwards.
func (h *Host) Close() {
	h.loads.close()
	h.resampler.close()
	h.events.close()
	h.closeFiles()
}

func (h *Host) closeFiles() {
	h.meminfoFile.close()
	h.onlineFile.close()
	h.nodesFile.close()
	h.origins.close()
}

// Supported reports whether the running kernel has the file and in a format that
// this package understands. Others are best not attached to a container. If it is for
// its format, the error wraps cgroupview.ErrFormat.
func (h *Host) Supported(id FileID) (bool, error) {
	f, err := lookup(id)
	if err != nil {
		return false, err
	}
	now := h.now()
	s, err := h.sample.get(now)
	if err != nil {
		return false, err
	}
	number := f.series.first(&s.value)
	info, err := os.Stat(h.root.Path(f.series.path(f.Path, number)))
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.IsDir() != f.Dir {
		return false, nil
	}
	_, err = h.origins.get(id, number, now)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

func lookup(id FileID) (*File, error) {
	if !id.known() {
		return nil, fmt.Errorf("file %d: %w", id, fs.ErrNotExist)
	}
	return &files[id], nil
}

func (h *Host) readSample(time.Duration) (s hostSample, err error) {
	h.syncClock()
	if s.meminfo, err = readParsed(&h.meminfoFile, parseMeminfo); err != nil {
		return s, err
	}
	if s.online, err = readParsed(&h.onlineFile, cgroupview.ParseCPUSet); err != nil {
		return s, err
	}
	if s.nodes, err = h.readNodes(); err != nil {
		return s, err
	}
	s.nodeCPUs, err = h.readNodeCPUs(&s)
	return s, err
}
