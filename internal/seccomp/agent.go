package seccomp

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"cloister/internal/sys"
)

const (
	// perContainer is how many calls of a container are in service; more wait.
	perContainer = 8
	// maxIdle is how many goroutines wait for calls, each on a thread.
	maxIdle = 4
	// firstIdle is how many do at first: while one serves a call the other is there for
	// the next, and neither has to be started.
	firstIdle = 2
	// defaultDeadline is of Options.Deadline.
	defaultDeadline = 10 * time.Second
	// closeTimeout is how long Close waits for the calls in service.
	closeTimeout = time.Second
)

// Options are what New needs.
type Options struct {
	// Journal is of CreateJournal, by this process or one that is dead by now. It
	// stays the caller's, who may close it after New.
	Journal *sys.FD
	// Handlers answer the calls, by name: mount, sysinfo, sched_getaffinity, syslog, socketcall.
	// What has no handler fails with ENOSYS.
	Handlers map[string]Handler
	// Deadline is after which a caller gets EIO, 10 seconds if 0.
	Deadline time.Duration
	Log      zerolog.Logger
	// Ended, which may be nil, is told once of a listener whose last user has ended.
	// Its descriptor is closed.
	Ended func(Listener)
}

// Listener is where the calls of a filter arrive. A container has one for its first
// process and one for each exec.
type Listener struct {
	Container string
	// Name is the same for a successor, and no other listener's.
	Name string
	FD   *sys.FD
}

// Agent serves listeners.
type Agent struct {
	options Options
	journal *journal
	poller  *sys.OneShot

	inService [slots]atomic.Pointer[Request] // as the journal's slots
	idle      atomic.Int32                   // goroutines that wait for calls
	running   sync.WaitGroup                 // all goroutines but the watchdog
	closed    chan struct{}

	mu         sync.Mutex // guards what follows, and is held over no system call
	listeners  map[uint64]*listener
	containers map[string]*container
	lastID     uint64
	free       []int       // slots
	starved    []*listener // wait for a slot
	closing    bool
}

// New opens the journal. Then come Add for the listeners that there were before, and
// Start. An error that is ErrJournal asks for a new journal.
func New(o Options) (*Agent, error) {
	if err := sys.CheckNotifications(); err != nil {
		return nil, err
	}
	if o.Deadline == 0 {
		o.Deadline = defaultDeadline
	}
	j, err := openJournal(o.Journal)
	if err != nil {
		return nil, fmt.Errorf("open the journal of system calls: %w", err)
	}
	poller, err := sys.NewOneShot()
	if err != nil {
		return nil, errors.Join(err, j.close())
	}
	return &Agent{
		options: o, journal: j, poller: poller,
		closed:    make(chan struct{}),
		listeners: map[uint64]*listener{}, containers: map[string]*container{},
	}, nil
}

// Add serves a listener, whose descriptor is the agent's from now on, until it ends.
// After an error it is still the caller's.
func (a *Agent) Add(l Listener) error {
	if err := sys.NotificationValid(l.FD, 0); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("listener %s of container %s: not a seccomp listener: %w", l.Name, l.Container, err)
	}
	if err := sys.WakeOnSameCPU(l.FD); err != nil {
		return fmt.Errorf("listener %s of container %s: %w", l.Name, l.Container, err)
	}
	added := a.register(l)
	if err := a.poller.Add(l.FD, added.id); err != nil {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.unregister(added)
		return fmt.Errorf("listener %s of container %s: %w", l.Name, l.Container, err)
	}
	return nil
}

// Start serves again what predecessors have left unanswered, and then all that comes.
// Their calls from listeners that have not been added by now are forgotten.
func (a *Agent) Start() {
	left := a.recover()
	for range firstIdle {
		a.follow()
	}
	for _, t := range left {
		a.running.Go(func() { a.serveAgain(t) })
	}
	go a.watch()
}

// Close ends the agent so that a successor can go on. It waits a second for the calls
// in service; what is left then is the successor's. Listeners stay open: their calls
// wait as long as a descriptor is, here or where a duplicate is kept.
func (a *Agent) Close() error {
	a.mu.Lock()
	a.closing = true
	a.mu.Unlock()
	close(a.closed)
	if err := a.poller.Stop(); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		a.running.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		a.forgetMappings()
		return errors.Join(a.poller.Close(), a.journal.close())
	case <-time.After(closeTimeout):
		return nil // they use the journal until the process ends
	}
}

// watch calls tidy now and then.
func (a *Agent) watch() {
	tick := time.NewTicker(max(a.options.Deadline/8, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-a.closed:
			return
		case now := <-tick.C:
			a.tidy(now)
		}
	}
}

// tidy gives the callers an answer whose handlers have none in time, and lets go of what is
// known of processes.
func (a *Agent) tidy(now time.Time) {
	a.expire(now)
	a.forgetMappings()
}

func (a *Agent) expire(now time.Time) {
	for i := range a.inService {
		r := a.inService[i].Load()
		if r != nil && now.After(r.Deadline) && r.respond(Errno(unix.EIO)) {
			r.listener.log.Warn().Str("call", r.Call).Int("tid", r.TID).
				Msg("a system call of the container was answered with EIO: it took too long")
		}
	}
}

func (a *Agent) forgetMappings() {
	a.mu.Lock()
	all := slices.Collect(maps.Values(a.containers))
	a.mu.Unlock()
	for _, c := range all {
		c.mappings.put(0, nil)
	}
}
