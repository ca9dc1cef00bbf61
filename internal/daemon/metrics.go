package daemon

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"cloister/internal/metrics"
)

// metricsPath is where Prometheus looks by default.
const metricsPath = "/metrics"

// metricsHandler answers scrapes. Nothing is compressed: it never leaves the host.
func (d *Daemon) metricsHandler() http.Handler {
	return promhttp.HandlerFor(metrics.NewRegistry(d.Version, d.snapshot, d.syscalls.metrics), promhttp.HandlerOpts{
		DisableCompression:  true,
		MaxRequestsInFlight: 2,
	})
}

// snapshot returns what a scrape shows.
func (d *Daemon) snapshot() metrics.Snapshot {
	s := metrics.Snapshot{
		Superblocks: d.views.superblocks(),
		Containers:  d.registry.count(), Registrations: d.registry.registrations.Load(), Refusals: d.refusals.Load(),
		IDsUsed: d.registry.ids.Used(), IDs: uint64(d.registry.ids.Region().Size),
		Listeners: uint64(d.syscalls.listeners.Load()), RefusedListeners: d.syscalls.intake.refused.Load(),
	}
	if k := d.keeperStatus(); k != nil {
		s.Worker = &metrics.Worker{Restarts: uint64(k.Restarts), Kills: uint64(k.Kills)}
	}
	return s
}

func (v *views) superblocks() []metrics.Superblock {
	var all []metrics.Superblock
	for _, t := range v.trees {
		all = append(all, metrics.Superblock{Name: filepath.Base(t.dir), Stats: t.server.Stats()})
	}
	return all
}

// loopbackAddress makes sure that no other host can reach an address. The empty one is
// the zero AddrPort.
func loopbackAddress(address string) (netip.AddrPort, error) {
	if address == "" {
		return netip.AddrPort{}, nil
	}
	a, err := netip.ParseAddrPort(address)
	if err == nil && !a.Addr().IsLoopback() {
		err = errors.New("other hosts can reach this address")
	}
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf(
			"address for metrics %q: %w; give an address of the loopback interface with a port, such as 127.0.0.1:9477 or [::1]:9477", address, err)
	}
	return a, nil
}

// serveMetrics answers scrapes at an address, if it is one, until stop is called. A port
// that somebody else has does not keep containers from their views.
func (d *Daemon) serveMetrics(address netip.AddrPort) (stop func()) {
	if !address.IsValid() {
		return func() {}
	}
	listener, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(address))
	if err != nil {
		d.log.Error().Err(err).Msg("no metrics on a port; those on the control socket are there")
		return func() {}
	}
	mux := http.NewServeMux()
	mux.Handle("GET "+metricsPath, d.metricsHandler())
	return d.serveScrapes(listener, mux)
}

// serveScrapes gives nobody who is slow, or many, more than a little.
func (d *Daemon) serveScrapes(listener net.Listener, handler http.Handler) (stop func()) {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       5 * time.Second,
		WriteTimeout:      10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			d.log.Error().Err(err).Msg("metrics are no longer served on a port")
		}
	}()
	d.log.Info().Stringer("address", listener.Addr()).Msg("metrics are served")
	return func() {
		_ = server.Close() // of scrapes that are under way nothing is lost
		<-done
	}
}
