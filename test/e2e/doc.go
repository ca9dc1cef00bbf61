// Package e2e tests cloister as its users meet it: with real engines, real runtimes
// and a daemon of its own, and by what a person sees.
//
// Everything that a test starts lives in directories of its own and in a mount and
// network namespace of its own (package test/lab), and is gone when the tests end.
// An engine of the system is never touched. Run it with `make test-e2e`.
//
// TestBundle… need only a low-level runtime; they run in virtual machines as well.
// Test…Tools… run the tools with which people look at a machine, from Debian's packages,
// and compare what those show with a container's limits.
package e2e
