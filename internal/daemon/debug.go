package daemon

import (
	"net/http"
	"net/http/pprof"
)

// observe adds what shows the daemon at work to the control socket. The package pprof
// has added itself to http.DefaultServeMux as well, which nothing serves.
func (d *Daemon) observe(mux *http.ServeMux) {
	mux.Handle("GET "+metricsPath, d.metricsHandler())
	for pattern, h := range map[string]http.HandlerFunc{
		"/debug/pprof/":            pprof.Index, // lists the profiles, and has those that need no time
		"GET /debug/pprof/cmdline": pprof.Cmdline,
		"GET /debug/pprof/profile": pprof.Profile,
		"GET /debug/pprof/trace":   pprof.Trace,
		"/debug/pprof/symbol":      pprof.Symbol,
	} {
		mux.Handle(pattern, h)
	}
}
