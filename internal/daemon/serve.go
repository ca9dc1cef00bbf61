package daemon

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"time"

	"cloister/internal/api"
	"cloister/internal/keeper"
)

// ending is why a daemon ends.
type ending int

const (
	// byStop takes the views away.
	byStop ending = iota
	// byHandover leaves all to a successor, which goes on.
	byHandover
)

// byFailure is what is done after an error. A worker that has served is followed by
// another, and what a predecessor has left is not its own.
func (d *Daemon) byFailure(served bool) ending {
	if d.inherited || d.Keeper != nil && served {
		return byHandover
	}
	return byStop
}

// serveUntil answers the control socket.
func (d *Daemon) serveUntil(ctx context.Context) (ending, error) {
	listener, err := d.listen(controlName, api.SocketPath(d.RunDir))
	if err != nil {
		return d.byFailure(false), err
	}
	server := &http.Server{
		Handler:           onlyRoot(d.handler()),
		ConnContext:       withPeer,
		ReadHeaderTimeout: 10 * time.Second,
		// Profiles that are under way end with the daemon.
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	d.ready()
	stopBeating := d.beat()
	defer stopBeating()

	var event keeper.Event
	select {
	case <-ctx.Done():
		event = d.interrupted()
	case event = <-d.wishes():
	case err = <-served:
	case <-d.views.ended:
		err = errors.New("the views were unmounted by somebody else")
	}
	failed := event == 0 && d.byFailure(true) == byHandover
	d.keeperLost = event == keeper.Lost
	err = errors.Join(err, shutDown(server))
	if failed || d.keeperLost || event == keeper.Handover {
		return byHandover, err
	}
	return byStop, errors.Join(err, ignoreMissing(os.Remove(api.SocketPath(d.RunDir))))
}

// handOver leaves everything to the keeper and its next worker, or, if the keeper is gone
// by now, to this process as the keeper.
func (d *Daemon) handOver() error {
	err := errors.Join(d.syscalls.close(), d.registry.close())
	select {
	case event := <-d.wishes():
		d.keeperLost = d.keeperLost || event == keeper.Lost
	default:
	}
	if !d.keeperLost {
		return err
	}
	d.log.Warn().Msg("the keeper is gone, the worker takes its place")
	for _, t := range d.views.trees {
		t.server.Hush()
	}
	return errors.Join(err, d.legacy.takeOver())
}

// ready says that the daemon serves.
func (d *Daemon) ready() {
	d.log.Info().Str("version", d.Version).Str("runDir", d.RunDir).Bool("resumed", d.views.resumed).Msg("ready")
	if d.Keeper == nil {
		return
	}
	if err := d.Keeper.Ready(); err != nil {
		d.log.Error().Err(err).Msg("the keeper does not know that the worker is ready")
	}
}

// interrupted is what a signal means. One to a worker means that worker; its keeper
// starts another.
func (d *Daemon) interrupted() keeper.Event {
	if d.Keeper != nil {
		return keeper.Handover
	}
	return keeper.Stop
}

// wishes are the keeper's.
func (d *Daemon) wishes() <-chan keeper.Event {
	if d.Keeper == nil {
		return nil
	}
	return d.Keeper.Events()
}

// stopTimeout bounds the requests that are under way when the daemon stops.
const stopTimeout = 5 * time.Second

// shutDown ends the requests and removes the socket.
func shutDown(server *http.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	return server.Shutdown(ctx)
}
