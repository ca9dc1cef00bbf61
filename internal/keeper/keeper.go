package keeper

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/rs/zerolog"
)

// Config says what is kept going.
type Config struct {
	// Args are the worker's, without the program's name: it is the keeper's own
	// program, and knows by Connect that it is a worker.
	Args []string
	// Executable is the path of the program, to which SIGHUP upgrades. What runs need
	// not be there any more.
	Executable string
	// Watchdog is how long a worker may say nothing; 0 means 2 s.
	Watchdog time.Duration
	// StatusPath is where Status is written.
	StatusPath string
	Log        zerolog.Logger
}

const (
	defaultWatchdog = 2 * time.Second
	startLimit      = 30 * time.Second // how long a worker that is not ready may say nothing
	handOverLimit   = 2 * time.Second
	stopLimit       = 10 * time.Second
	killLimit       = 100 * time.Millisecond // how long the end of a killed worker is waited for, if all its threads are stuck
)

// goal is what is done when the worker has ended.
type goal int

const (
	another goal = iota // start another one
	upgrade             // try the new program
	goBack              // go on with the program from before the upgrade
	end
)

// keeper is the state of Run. All of it belongs to one goroutine, which waits for
// nothing but the next event.
type keeper struct {
	Config
	systemd *systemd
	pings   <-chan time.Time // of systemd's watchdog
	hangup  chan os.Signal
	events  chan event
	handled chan struct{} // for the sender of the last event
	tested  chan error    // the result of a smoke test
	closed  chan struct{} // nobody reads events any more

	store    store
	backoff  backoff
	status   Status
	worker   *worker      // nil while there is none
	unreaped map[int]bool // pids of workers that were killed and have not ended yet
	// needed tells that it matters to go on: a worker was ready, or a predecessor has
	// left something.
	needed bool

	// timer ends the delay before a start, the time that a worker has to end when
	// told to, or that which it has when killed.
	timer *time.Timer
	goal  goal

	testing bool  // a new program
	trial   trial // of the workers of a new program

	done bool
	err  error // of Run
}

// Run keeps a worker going until ctx ends, and returns how the last one ended: an
// *exec.ExitError if its status was not 0. If the first worker ends before it is ready,
// and nothing was left by a predecessor, there is nothing to keep, and Run returns its
// failure.
func Run(ctx context.Context, cfg Config) error {
	k := &keeper{
		Config: cfg, hangup: make(chan os.Signal, 1), events: make(chan event), handled: make(chan struct{}),
		tested: make(chan error, 1), closed: make(chan struct{}), timer: time.NewTimer(0), unreaped: map[int]bool{},
	}
	defer close(k.closed)
	signal.Notify(k.hangup, syscall.SIGHUP)
	defer signal.Stop(k.hangup)
	if k.Watchdog == 0 {
		k.Watchdog = defaultWatchdog
	}
	nameProcess()
	if err := k.open(); err != nil {
		return err
	}
	defer k.removeStatus()
	return k.loop(ctx)
}

// open takes over what there is: from the program before, or from systemd.
func (k *keeper) open() (err error) {
	if k.systemd, err = connectSystemd(); err != nil {
		return err
	}
	if k.pings, err = k.systemd.pings(); err != nil {
		return err
	}
	k.status = Status{Since: time.Now()}
	before, err := readState()
	if err != nil {
		return err
	}
	if before == nil {
		k.store, err = inherited()
		k.needed = len(k.store) > 0
	} else {
		err = k.resume(before)
	}
	k.status.PID = os.Getpid()
	k.saveStatus()
	return err
}

func (k *keeper) loop(ctx context.Context) error {
	tick := time.NewTicker(k.Watchdog / 2)
	defer tick.Stop()
	stopped := ctx.Done()
	for !k.done {
		select {
		case <-k.timer.C: // at once: the first start
			k.timeUp()
		case e := <-k.events:
			k.handle(e)
			k.handled <- struct{}{}
		case <-tick.C:
			k.watch()
		case <-k.hangup:
			k.tryUpgrade(k.Executable)
		case err := <-k.tested:
			k.smokeTested(err)
		case <-k.trial.timeUp:
			k.goBack("no worker became ready in time")
		case <-stopped:
			stopped = nil // once
			k.check(k.systemd.notify(message{stopping}))
			k.leave(end)
		case <-k.pings:
			k.check(k.systemd.notify(message{watchdog}))
		}
	}
	return k.err
}

// emit is how the workers' goroutines reach the loop. It returns when the event has
// been handled: nothing is read meanwhile, and lost if another program is executed.
func (k *keeper) emit(e event) {
	select {
	case k.events <- e:
		<-k.handled
	case <-k.closed:
	}
}

// check logs what does not keep the keeper from going on.
func (k *keeper) check(err error) {
	if err != nil {
		k.Log.Error().Err(err).Msg("keeper goes on without")
	}
}
