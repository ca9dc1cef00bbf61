package emul

import (
	"container/list"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"cloister/cgroupview"
)

// ContainerConfig says what a container is.
type ContainerConfig struct {
	// ID is the container's name for as long as it exists, and Start that of this
	// start of it. What of the machine's identity a container sees follows from
	// them.
	ID, Start string
	// Group is the container's cgroup. The Container closes it.
	Group *cgroupview.Group
	// PID is the container's init in the pid namespace of the daemon. The
	// container's time begins with it.
	PID int
	// TimeNamespace tells that the container has a time namespace of its own,
	// whose boottime is the host's plus BootOffset.
	TimeNamespace bool
	BootOffset    time.Duration
	// State is that of an earlier Container for the same container, nil if
	// there was none.
	State *State
	// LimitsChanged, if not nil, is called when a sample shows other CPU limits than
	// the one before: the container's State is best stored soon. It must not wait for
	// anything, nor use the Container.
	LimitsChanged func()
	// Changed, if not nil, is called when a sample shows other CPUs or memory nodes
	// than the one before, or the host has others: those of Files that are Stable may
	// have new contents, and from now on Render gives them. It must not wait for
	// anything, nor use the Container before it has returned, and may be called before
	// NewContainer returns. With it, samples are taken when limits are written though
	// nobody reads; see resampler.
	Changed func()
}

// Container renders the files of one container. It is safe for concurrent use.
type Container struct {
	host                   *Host
	limitsChanged, changed func()       // of ContainerConfig
	expires                atomic.Int64 // when the view is too old, CLOCK_BOOTTIME

	// sampling is held while the container's cgroup is read: those who find
	// the view too old wait for one reading and share it.
	sampling sync.Mutex
	group    *cgroupview.Group // guarded by sampling, but for Tasks
	nodes    nodeMemory        // guarded by sampling
	closed   bool              // guarded by sampling
	// openFiles are those of group and queued is for what bounds them: they change with
	// both sampling and the lock of host.openFiles held.
	openFiles int
	queued    *list.Element

	// counting is held while the container's tasks are counted.
	counting sync.Mutex
	counter  *taskCounter // guarded by counting; nil when closed

	watch     *cgroupview.Watch // nil if there is none
	unwatched error             // why, nil if none is wanted

	mu   sync.RWMutex // held for memory accesses only
	view view         // guarded by mu
}

// view is one coherent sample of a container: everything that its files are
// rendered from, but for what they take of the host beyond its sample.
type view struct {
	sample uint64 // counts them
	at     time.Duration
	host   *hostSample
	usage  cgroupview.Usage
	cpus   cpus
	nodes  cgroupview.CPUSet // the memory nodes that it may use
	memory memory
	cpu    cpuClock
	vm     vmClock
	load   loadAvg
	clock  startClock

	identity identity
}

// parkAfter is how long a container must not be read before the descriptors of
// its cgroup are given back, as long as there are enough for others.
const parkAfter = 2 * loadPeriod

// NewContainer returns a Container with a first sample taken, so that its
// counters and averages begin now. It returns cgroupview.ErrGone if the cgroup
// has been removed. The group is closed on error, too.
func (h *Host) NewContainer(cfg ContainerConfig) (*Container, error) {
	start, err := h.startOf(cfg)
	if err != nil {
		cfg.Group.Close()
		return nil, fmt.Errorf("new container: %w", err)
	}
	now := h.now()
	c := h.newContainer(cfg, start, now)
	if err := c.begin(now); err != nil {
		c.Close()
		return nil, fmt.Errorf("new container: %w", err)
	}
	return c, nil
}

func (h *Host) newContainer(cfg ContainerConfig, start, now time.Duration) *Container {
	c := &Container{host: h, group: cfg.Group, limitsChanged: cfg.LimitsChanged, changed: cfg.Changed}
	c.view.start(start, now, cfg)
	h.openFiles.add()
	c.counter = newTaskCounter(h.root, cfg.Group, cfg.PID, c.view.load.Seen)
	return c
}

// begin takes the first sample. What changes from then on is noticed.
func (c *Container) begin(now time.Duration) error {
	if err := c.count(now, new(taskScratch), taskBudget); err != nil && !errors.Is(err, cgroupview.ErrNoCgroup) {
		return err
	}
	if c.changed != nil {
		c.host.resampler.add(c)
	}
	if err := c.refresh(now); err != nil {
		return err
	}
	c.host.loads.add(c)
	return nil
}

// Unwatched tells why limits that are written are noticed only once a second while
// nobody reads, nil if they are at once. The error wraps ENOSPC or EMFILE if the kernel
// has no inotify watches or instances left.
func (c *Container) Unwatched() error { return c.unwatched }

// start sets the view to the beginning of the container's time.
func (v *view) start(start, now time.Duration, cfg ContainerConfig) {
	v.identity = newIdentity(cfg.ID, cfg.Start)
	v.clock = startClock{origin: start}
	if cfg.TimeNamespace {
		v.clock = startClock{origin: -cfg.BootOffset, bootOffset: cfg.BootOffset}
	}
	if cfg.State != nil && cfg.State.valid(now) {
		v.cpu, v.vm, v.load = cfg.State.CPU.resume(), newVMClock(cfg.State.VM), cfg.State.Load
		return
	}
	v.vm = newVMClock(nil)
	v.cpu.At = min(start, now)
	v.cpu.lead = max(0, v.cpu.At-v.clock.origin)
	v.load.At = now
}

// startOf returns the start time of a container.
func (h *Host) startOf(cfg ContainerConfig) (time.Duration, error) {
	path := h.root.Path("proc", strconv.Itoa(cfg.PID), "stat")
	stat, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	start, err := taskStart(stat)
	if err != nil {
		return 0, fmt.Errorf("parse %s: %w", path, err)
	}
	return start, nil
}

// Close releases the container's cgroup. It waits for a sample that is being
// taken; a later Render returns os.ErrClosed.
func (c *Container) Close() {
	c.host.loads.remove(c)
	c.host.resampler.remove(c)
	c.counting.Lock()
	defer c.counting.Unlock()
	c.sampling.Lock()
	defer c.sampling.Unlock()
	if c.closed {
		return
	}
	c.closed, c.counter = true, nil
	c.expires.Store(0)
	c.group.Close()
	c.host.openFiles.remove(c)
}
