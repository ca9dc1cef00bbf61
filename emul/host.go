package emul

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"cloister/cgroupview"
)

// DefaultPeriod is how old a sample may be by default: less than it takes a command
// that has changed a limit to end, and the next one to look.
const DefaultPeriod = time.Millisecond

// HostOptions are the settings of a Host. The zero value is right for a daemon.
type HostOptions struct {
	// Root is where the host's files are seen.
	Root cgroupview.Root
	// Period is the age up to which samples are used; DefaultPeriod if 0.
	Period time.Duration
	// Clock returns CLOCK_BOOTTIME, the time base of every time in this
	// package; the system's clock if nil.
	Clock func() time.Duration
}

// Host is what all containers of a host share: its files, read once for all of
// them, and the goroutine that samples their loads. It is safe for concurrent
// use.
type Host struct {
	root      cgroupview.Root
	period    time.Duration
	now       func() time.Duration
	syncClock func()

	meminfoFile, onlineFile, cpuinfoFile, diskstatsFile, statFile hostFile

	sample    cached[hostSample]
	cpuinfo   cached[*hostCPUInfo]
	diskstats cached[hostDiskstats]
	btime     cached[int64]

	loads *loadSampler
}

// hostSample is what every sample of a container is measured against.
type hostSample struct {
	meminfo *hostMeminfo
	online  cgroupview.CPUSet
}

// source is a set of host files that a file of a container is derived from, in
// addition to the host's sample.
type source uint

const (
	needCPUInfo source = 1 << iota
	needDiskstats
	needBtime
)

// input is what a file is rendered from beside the container's view.
type input struct {
	now       time.Duration
	cpuinfo   *hostCPUInfo
	diskstats hostDiskstats
	btime     int64 // seconds since the epoch
}

// btimePeriod is how long the host's boot time is relied on. It changes only
// when somebody sets the clock, and /proc/stat is dear on a large machine.
const btimePeriod = time.Second

// NewHost returns a Host, whose sampling goroutine runs until Close. It fails if
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
	for file, path := range map[*hostFile]string{
		&h.meminfoFile:   "proc/meminfo",
		&h.onlineFile:    "sys/devices/system/cpu/online",
		&h.cpuinfoFile:   "proc/cpuinfo",
		&h.diskstatsFile: "proc/diskstats",
		&h.statFile:      "proc/stat",
	} {
		file.path = h.root.Path(path)
	}
	h.sample = cached[hostSample]{period: h.period, read: h.readSample}
	h.cpuinfo = cached[*hostCPUInfo]{period: h.period, read: h.readCPUInfo}
	h.diskstats = cached[hostDiskstats]{period: h.period, read: func(time.Duration) (hostDiskstats, error) {
		return readParsed(&h.diskstatsFile, parseDiskstats)
	}}
	h.btime = cached[int64]{period: max(h.period, btimePeriod), read: func(time.Duration) (int64, error) {
		return readParsed(&h.statFile, parseBtime)
	}}
	if _, err := h.sample.get(h.now()); err != nil {
		h.closeFiles()
		return nil, fmt.Errorf("sample host: %w", err)
	}
	h.loads = startLoadSampler(h.now)
	return h, nil
}

// Close stops the sampling of loads and waits for its end. Containers of the
// host must not be used afterwards.
func (h *Host) Close() {
	h.loads.close()
	h.closeFiles()
}

func (h *Host) closeFiles() {
	for _, f := range []*hostFile{&h.meminfoFile, &h.onlineFile, &h.cpuinfoFile, &h.diskstatsFile, &h.statFile} {
		f.close()
	}
}

// Supported reports whether the running kernel has the file and in a format that
// this package understands. Others are best not attached to a container.
func (h *Host) Supported(id FileID) (bool, error) {
	f, err := lookup(id)
	if err != nil {
		return false, err
	}
	if _, err := os.Stat(h.root.Path(f.Path)); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	_, err = h.input(h.now(), f.needs)
	if errors.Is(err, cgroupview.ErrFormat) {
		return false, nil
	}
	return err == nil, err
}

func lookup(id FileID) (*File, error) {
	if id < 0 || int(id) >= len(files) {
		return nil, fmt.Errorf("file %d: %w", id, fs.ErrNotExist)
	}
	return &files[id], nil
}

func (h *Host) readSample(time.Duration) (s hostSample, err error) {
	h.syncClock()
	if s.meminfo, err = readParsed(&h.meminfoFile, parseMeminfo); err != nil {
		return s, err
	}
	s.online, err = readParsed(&h.onlineFile, cgroupview.ParseCPUSet)
	return s, err
}

// readCPUInfo reads /proc/cpuinfo again only when CPUs have come or gone: on a
// large machine the file has hundreds of kilobytes. What else changes in it, the
// current frequency, stays as it was first read.
func (h *Host) readCPUInfo(now time.Duration) (*hostCPUInfo, error) {
	s, err := h.sample.get(now)
	if err != nil {
		return nil, err
	}
	online := s.value.online
	if last := h.cpuinfo.current.Load(); last != nil && last.value.online.Equal(online) {
		return last.value, nil
	}
	info, err := readParsed(&h.cpuinfoFile, parseCPUInfo)
	if err != nil {
		return nil, err
	}
	info.online = online
	return info, nil
}

// input gathers what a file needs of the host.
func (h *Host) input(now time.Duration, needs source) (in input, err error) {
	in.now = now
	if needs&needCPUInfo != 0 {
		s, err := h.cpuinfo.get(now)
		if err != nil {
			return in, err
		}
		in.cpuinfo = s.value
	}
	if needs&needDiskstats != 0 {
		s, err := h.diskstats.get(now)
		if err != nil {
			return in, err
		}
		in.diskstats = s.value
	}
	if needs&needBtime != 0 {
		s, err := h.btime.get(now)
		if err != nil {
			return in, err
		}
		in.btime = s.value
	}
	return in, nil
}
