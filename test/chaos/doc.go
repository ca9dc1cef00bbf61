// Package chaos kills, stops and replaces the daemon while containers are read and made,
// and holds every read to what it should be.
//
// The daemon is built with the tag chaos, so that it panics on demand. It, the containers
// and all that reads them live in a mount namespace and below a directory of their own,
// and are gone when the test ends. Run it with `make test-chaos`, or with
// `make test-chaos-short`, which `make test` does.
package chaos
