// Package daemon is the process that knows all containers of a host: which ids
// and which view slot each has, and what its files show. It answers the control
// socket and serves the views.
//
// What must be known again after a restart is on disk as one small file a
// container (store.go), written before the wrapper or hook that asked hears of it.
// A container is one of the registry's from its registration by the wrapper until
// its last process is gone; whatever happens in between (a hook killed, a runtime
// that fails, a host that reboots) ends in release (registry.go), which gives back
// everything.
package daemon
