package daemon

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/rs/zerolog"

	"cloister/internal/api"
	"cloister/internal/keeper"
	"cloister/internal/mounter"
	"cloister/internal/settings"
	"cloister/internal/sys"
	"cloister/runtimehook/idrange"
	"cloister/runtimehook/lowlevel"
)

// Config is what a daemon is started with.
type Config struct {
	RunDir       string
	StateDir     string
	SettingsPath string
	Version      string
	Log          zerolog.Logger
	Features     func() map[string]bool // what this host can do; probed once
	// MetricsAddress is where on the loopback interface metrics are served, besides
	// the control socket; "" for nowhere.
	MetricsAddress string
	// Keeper is the process that started this one and goes on when it ends; nil if there
	// is none, as in tests.
	Keeper *keeper.Client
}

// Daemon serves one run directory.
type Daemon struct {
	Config
	log      zerolog.Logger
	settings *settings.Settings
	// settingsError is why these are a predecessor's and not those of the file.
	settingsError error
	legacy        legacy
	runLock       *os.File
	// stateLock keeps daemons with other run directories from the same ids.
	stateLock *os.File
	store     *store
	peers     *peers
	views     *views
	mounter   *mounter.Mounter
	registry  *registry
	syscalls  *syscalls
	runtime   func() (api.Runtime, error) // the low-level one; probed once
	features  func() map[string]bool      // of the host and the runtime; probed once
	refusals  atomic.Uint64               // of containers, as the wrapper and the hooks report them
	// inherited tells that a predecessor has left what it had open.
	inherited bool
	// keeperLost tells that there is nobody to hand over to.
	keeperLost bool
}

// Run serves until ctx is done, then leaves the containers as they are and takes
// away everything else.
func Run(ctx context.Context, cfg Config) (err error) {
	d := &Daemon{Config: cfg, log: cfg.Log, legacy: newLegacy(cfg.Keeper)}
	address, err := loopbackAddress(cfg.MetricsAddress)
	if err != nil {
		return err
	}
	panicOnSignal()
	if err := d.open(); err != nil {
		if d.inherited { // containers have the views; the keeper starts another worker
			return err
		}
		return errors.Join(err, d.close())
	}
	stopMetrics := d.serveMetrics(address)
	ended, err := d.serveUntil(ctx)
	stopMetrics()
	if ended == byHandover {
		defer d.beat()() // what is saved now takes its time
		return errors.Join(err, d.handOver())
	}
	return errors.Join(err, d.close())
}

// open takes the directories, mounts the views and adopts the containers.
func (d *Daemon) open() (err error) {
	if err := d.openDirs(); err != nil {
		return err
	}
	if err := d.loadSettings(); err != nil {
		return err
	}
	boot, err := bootID()
	if err != nil {
		return err
	}
	if err := d.openStore(boot); err != nil {
		return err
	}
	if d.peers, err = joinPeers(peersDir, d.StateDir, boot); err != nil {
		return err
	}
	if d.views, err = openViews(filepath.Join(d.RunDir, "views"), &d.settings.Cloister, d.legacy, d.log); err != nil {
		return err
	}
	if err := d.startMounter(); err != nil {
		return err
	}
	runtimes := newRuntimes()
	exits, err := sys.NewExitWatcher()
	if err != nil {
		return err
	}
	region := d.settings.Cloister.IDRegion
	d.registry = &registry{
		log: d.log, runDir: d.RunDir, bootID: boot, store: d.store, peers: d.peers, views: d.views,
		exits: exits, workshop: d.mounter.Address, unmount: d.mounter.Drop, trash: newTrash(d.StateDir, d.log), runtimes: runtimes, containers: map[string]*container{},
		background: newBackground(reattachPlaces, reattachLimit),
		ids: idrange.New(idrange.Range(region),
			idrange.Subordinate("/etc/subuid", "/etc/subgid"), d.peers.claims),
	}
	d.registry.saver = startSaver(d.registry)
	d.registry.trash.start()
	if err := d.registry.adopt(); err != nil {
		return err
	}
	d.views.start()
	if err := d.openSyscalls(); err != nil {
		return err
	}
	return d.probe(runtimes)
}

// startMounter starts the process that has the views and seals mounts. Nobody who reads a
// view waits for that, so after a predecessor it is done aside.
func (d *Daemon) startMounter() error {
	d.mounter = mounter.Keep(d.log, filepath.Join(d.RunDir, "views"))
	if d.views.resumed {
		return nil
	}
	return d.mounter.Started()
}

// probe finds out what the host and the runtime can do. Nobody who reads a view waits
// for that, so after a predecessor it is done aside.
func (d *Daemon) probe(known *runtimes) error {
	d.runtime = sync.OnceValues(func() (api.Runtime, error) { return d.findRuntime(known) })
	d.features = sync.OnceValue(func() map[string]bool {
		features := d.Features()
		runtime, _ := d.runtime()
		features["timeNamespaceInRuntime"] = runtime.TimeNamespace
		return features
	})
	if d.inherited {
		go d.features()
		return nil
	}
	_, err := d.runtime()
	d.features()
	return err
}

func (d *Daemon) openStore(boot string) (err error) {
	if d.store, err = openStore(d.StateDir); err != nil {
		return err
	}
	lost, err := d.store.tidy(boot)
	for _, err := range lost {
		d.log.Warn().Err(err).Msg("state of a container of an earlier boot can't be read, it is removed")
	}
	return err
}

// findRuntime picks the low-level runtime and leaves a link to it, for the wrapper
// to find without asking.
func (d *Daemon) findRuntime(known *runtimes) (api.Runtime, error) {
	path, err := lowlevel.Search(d.settings.Cloister.Runtimes)
	if err != nil {
		d.log.Warn().Err(err).Msg("containers can't be started until there is one")
		return api.Runtime{}, nil
	}
	runtime, err := known.probe(path)
	if err != nil {
		return api.Runtime{}, err
	}
	return runtime, lowlevel.Publish(d.RunDir, path)
}

// close takes away what open has made, as far as it came.
func (d *Daemon) close() error {
	var errs []error
	if d.syscalls != nil {
		errs = append(errs, d.syscalls.end(d.RunDir))
	}
	if d.registry != nil {
		errs = append(errs, d.registry.close())
	}
	if d.mounter != nil {
		errs = append(errs, d.mounter.Close())
	}
	if d.views != nil {
		errs = append(errs, d.views.close())
	}
	if d.peers != nil && d.registry != nil && len(d.registry.all()) == 0 {
		errs = append(errs, d.peers.leave())
	}
	if d.runLock != nil && d.stateLock != nil {
		errs = append(errs, unmountAll(containersDir(d.RunDir)))
	}
	for _, lock := range []*os.File{d.stateLock, d.runLock} {
		if lock != nil {
			errs = append(errs, lock.Close())
		}
	}
	return errors.Join(errs...)
}
