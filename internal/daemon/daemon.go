package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/rs/zerolog"

	"cloister/internal/api"
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
}

// Daemon serves one run directory.
type Daemon struct {
	Config
	log      zerolog.Logger
	settings *settings.Settings
	runLock  *os.File
	// stateLock keeps daemons with other run directories from the same ids.
	stateLock *os.File
	store     *store
	peers     *peers
	views     *views
	registry  *registry
	runtime   api.Runtime
	features  map[string]bool
}

// Run serves until ctx is done, then leaves the containers as they are and takes
// away everything else.
func Run(ctx context.Context, cfg Config) (err error) {
	d := &Daemon{Config: cfg, log: cfg.Log}
	if d.settings, err = settings.Load(cfg.SettingsPath); err != nil {
		return err
	}
	if err := d.open(); err != nil {
		return errors.Join(err, d.close())
	}
	defer func() { err = errors.Join(err, d.close()) }()
	return d.serveUntil(ctx)
}

// open takes the directories, mounts the views and adopts the containers.
func (d *Daemon) open() (err error) {
	if err := d.openDirs(); err != nil {
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
	runtimes := newRuntimes()
	if err := d.findRuntime(runtimes); err != nil {
		return err
	}
	if d.views, err = openViews(filepath.Join(d.RunDir, "views"), d.settings.Cloister.Views.Enabled, d.log); err != nil {
		return err
	}
	exits, err := sys.NewExitWatcher()
	if err != nil {
		return err
	}
	region := d.settings.Cloister.IDRegion
	d.registry = &registry{
		log: d.log, runDir: d.RunDir, bootID: boot, store: d.store, peers: d.peers, views: d.views,
		exits: exits, trash: newTrash(api.BundlesDir(d.StateDir), d.log), runtimes: runtimes, containers: map[string]*container{},
		background: newBackground(reattachPlaces, reattachLimit),
		ids: idrange.New(idrange.Range(region),
			idrange.Subordinate("/etc/subuid", "/etc/subgid"), d.peers.claims),
	}
	d.registry.saver = startSaver(d.registry)
	d.registry.trash.start()
	if err := d.registry.adopt(); err != nil {
		return err
	}
	d.features = d.Features()
	d.features["timeNamespaceInRuntime"] = d.runtime.TimeNamespace
	return nil
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

// openDirs makes the directories and makes sure that they are ours alone.
func (d *Daemon) openDirs() (err error) {
	for dir, mode := range map[string]os.FileMode{
		// Containers' roots are below the run directory, so their users have to
		// be able to pass it.
		d.RunDir: 0o711, containersDir(d.RunDir): 0o711, d.StateDir: 0o700, api.BundlesDir(d.StateDir): 0o700,
	} {
		if err := os.MkdirAll(dir, mode); err != nil {
			return err
		}
	}
	// Names from here on are compared: those of bundles, and of peers.
	if d.StateDir, err = filepath.EvalSymlinks(d.StateDir); err != nil {
		return fmt.Errorf("state directory: %w", err)
	}
	if d.runLock, err = lockDir("run", d.RunDir); err != nil {
		return err
	}
	if d.stateLock, err = lockDir("state", d.StateDir); err != nil {
		return err
	}
	// What the precreate hook stages here must not spread to other mount
	// namespaces.
	return privateMount(containersDir(d.RunDir))
}

// lockDir makes sure that no other daemon uses the directory, which is the run or
// the state directory.
func lockDir(kind, dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("%s directory: %w", kind, err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	switch {
	case errors.Is(err, syscall.EWOULDBLOCK):
		err = fmt.Errorf("%s directory %s is in use by another daemon%s; stop it or give this one another --run-dir and --state-dir",
			kind, dir, lockHolder(f))
	case err == nil:
		err = nameHolder(f)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// nameHolder leaves our pid in the lock file, for the message to the next daemon.
func nameHolder(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())), 0)
	return err
}

// lockHolder is " (pid N)", if the holder has left its pid already.
func lockHolder(f *os.File) string {
	text := make([]byte, 20)
	n, _ := f.ReadAt(text, 0) // io.EOF: a pid is shorter
	pid, err := strconv.Atoi(string(text[:n]))
	if err != nil {
		return ""
	}
	return fmt.Sprintf(" (pid %d)", pid)
}

func privateMount(dir string) error {
	if err := unmountAll(dir); err != nil {
		return err
	}
	if err := sys.BindOnto(dir, dir); err != nil {
		return err
	}
	return sys.MakeMountPrivate(dir)
}

// unmountAll removes every mount that is on top of dir.
func unmountAll(dir string) error {
	for {
		err := sys.Detach(dir)
		if errors.Is(err, syscall.EINVAL) {
			return nil // not a mount point any more
		}
		if err != nil {
			return err
		}
	}
}

// findRuntime picks the low-level runtime and leaves a link to it, for the wrapper
// to find without asking.
func (d *Daemon) findRuntime(known *runtimes) error {
	path, err := lowlevel.Search(d.settings.Cloister.Runtimes)
	if err != nil {
		d.log.Warn().Err(err).Msg("containers can't be started until there is one")
		return nil
	}
	if d.runtime, err = known.probe(path); err != nil {
		return err
	}
	return lowlevel.Publish(d.RunDir, path)
}

// serveUntil answers the control socket.
func (d *Daemon) serveUntil(ctx context.Context) error {
	listener, err := listen(api.SocketPath(d.RunDir))
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler:           onlyRoot(d.handler()),
		ConnContext:       withPeer,
		ReadHeaderTimeout: 10 * time.Second,
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	d.log.Info().Str("version", d.Version).Str("runDir", d.RunDir).Str("runtime", d.runtime.Path).Msg("ready")
	_, _ = daemon.SdNotify(false, daemon.SdNotifyReady) // without systemd there is nobody to tell

	select {
	case <-ctx.Done():
	case err = <-served:
	case <-d.views.ended:
		err = errors.New("the views were unmounted by somebody else")
	}
	_, _ = daemon.SdNotify(false, daemon.SdNotifyStopping)
	return errors.Join(err, shutDown(server))
}

// stopTimeout bounds the requests that are under way when the daemon stops.
const stopTimeout = 5 * time.Second

// shutDown ends the requests and removes the socket.
func shutDown(server *http.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	return server.Shutdown(ctx)
}

// listen opens the control socket. A socket that is there already is that of a
// dead predecessor, since we hold the directory's lock.
func listen(path string) (net.Listener, error) {
	if err := ignoreMissing(os.Remove(path)); err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("control socket: %w", err), l.Close())
	}
	return l, nil
}

// close takes away what open has made, as far as it came.
func (d *Daemon) close() error {
	var errs []error
	if d.registry != nil {
		errs = append(errs, d.registry.close())
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
