// Package bundle makes the bundles of `cloister run`: the config.json of a
// container that has no engine, and the small root file system of one that has no
// image either.
//
// The config asks for what docker asks for, except a seccomp profile. It is no more trusted than docker's:
// the runtime wrapper judges and rewrites it like any other.
package bundle
