// Package cgrouptest builds fake hosts for tests: a directory that looks like
// the / of a host with cgroups mounted as v1, hybrid or v2, the /proc files that
// the views are derived from, and processes.
//
// The files are ordinary ones. A removed cgroup therefore still answers on
// descriptors that were opened before, which the kernel's would not do.
package cgrouptest
