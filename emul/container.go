package emul

import (
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
}

// Container renders the files of one container. It is safe for concurrent use.
type Container struct {
	host          *Host
	limitsChanged func()
	expires       atomic.Int64 // when the view is too old, CLOCK_BOOTTIME

	// sampling is held while the container's cgroup is read: those who find
	// the view too old wait for one reading and share it.
	sampling sync.Mutex
	group    *cgroupview.Group // guarded by sampling, but for Tasks
	spare    cgroupview.Usage  // guarded by sampling
	nodes    nodeMemory        // guarded by sampling
	closed   bool              // guarded by sampling

	// counting is held while the container's tasks are counted.
	counting sync.Mutex
	counter  *taskCounter // guarded by counting; nil when closed

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
// its cgroup's files are given back.
const parkAfter = time.Minute

// NewContainer returns a Container with a first sample taken, so that its
// counters and averages begin now. It returns cgroupview.ErrGone if the cgroup
// has been removed. The group is closed on error, too.
func (h *Host) NewContainer(cfg ContainerConfig) (*Container, error) {
	c, err := h.newContainer(cfg)
	if err != nil {
		cfg.Group.Close()
		return nil, fmt.Errorf("new container: %w", err)
	}
	h.loads.add(c)
	return c, nil
}

func (h *Host) newContainer(cfg ContainerConfig) (*Container, error) {
	start, err := h.startOf(cfg)
	if err != nil {
		return nil, err
	}
	now := h.now()
	c := &Container{host: h, group: cfg.Group, limitsChanged: cfg.LimitsChanged}
	c.view.start(start, now, cfg)
	c.counter = newTaskCounter(h.root, cfg.Group, cfg.PID, c.view.load.Seen)
	if err := c.count(now, new(taskScratch), taskBudget); err != nil && !errors.Is(err, cgroupview.ErrNoCgroup) {
		return nil, err
	}
	if err := c.refresh(now); err != nil {
		return nil, err
	}
	return c, nil
}

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

// refresh sees to it that the view is no more than one period old at the time
// now.
func (c *Container) refresh(now time.Duration) error {
	if int64(now) < c.expires.Load() {
		return nil
	}
	c.sampling.Lock()
	defer c.sampling.Unlock()
	if int64(now) < c.expires.Load() {
		return nil
	}
	if c.closed {
		return os.ErrClosed
	}
	host, err := c.host.sample.get(now)
	if err != nil {
		return err
	}
	if err := c.group.Read(&c.spare); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.view.take(c.host.now(), &host.value, &c.spare) && c.limitsChanged != nil {
		c.limitsChanged()
	}
	c.expires.Store(int64(host.at + c.host.period))
	return nil
}

// take makes a new sample the current one. It swaps *u for the usage of the last
// sample, so that both are used in turn. It reports whether a State from before has
// other CPU limits.
func (v *view) take(now time.Duration, host *hostSample, u *cgroupview.Usage) (changed bool) {
	last, stored := v.cpus, v.sample > 0 || v.cpu.resumed
	v.usage, *u = *u, v.usage
	v.sample++
	v.at, v.host = now, host
	v.memory = newMemory(host.meminfo, &v.usage)
	v.cpus = newCPUs(host.online, &v.usage)
	v.nodes = newNodes(host.nodes, &v.usage)
	v.cpu.advance(now, &v.cpus, &v.usage)
	v.vm.advance(&v.usage)
	if v.cpus.equal(&last) {
		return false
	}
	v.cpu.Limits = v.cpus.limits()
	return stored
}

// Close releases the container's cgroup. It waits for a sample that is being
// taken; a later Render returns os.ErrClosed.
func (c *Container) Close() {
	c.host.loads.remove(c)
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
}
