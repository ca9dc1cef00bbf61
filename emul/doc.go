// Package emul renders a container's view of files in /proc and /sys: a sample of
// the host and of the container's cgroup in, bytes out.
//
// A Host is made once per daemon and a Container for each container. Every file
// is an entry of one of the tables that file.go joins, and has a renderer, in a Go
// file named after it unless it is short, and its test. The package opens nothing
// but kernel files to read. It knows nothing of FUSE, mounts or OCI.
//
// Invariants:
//
//   - All files of a container come from one sample, so they agree with one
//     another. A sample is at most one period old, and taken at the first read
//     after that; concurrent readers share it.
//   - Every file of the host is read at most once per period, whatever the
//     number of containers.
//   - No figure of the host takes the place of one of the container. What the
//     kernel does not count per cgroup reads as 0; a line that this package does
//     not know is 0 or left out; what cannot be read is an error. Free and available
//     memory never exceed the host's.
//   - Counters that only grow in the kernel only grow here, over changing
//     limits and, by way of State, over an orderly restart of the daemon.
//
// Of /sys, the directories of CPUs and of memory nodes are shown whole, by what the
// container may use of them. /sys/block and /sys/class/block are not: the devices'
// own directories below /sys/devices would still show the host's I/O in their stat.
//
// Formats: proc(5) and Documentation/filesystems/proc.rst; the code that prints
// each file in the kernel is named where the file is rendered.
package emul
