// Package cgroupview reads what a cgroup allows and what it has used: memory,
// swap, CPU bandwidth, CPU and memory node sets, CPU time, block I/O, pressure and
// tasks.
//
// It knows the text formats of the kernel's cgroup files and the shape of the
// hierarchies. It knows nothing of containers' pseudo-files, of mounts or of
// OCI, and never changes a cgroup.
//
// The three set-ups of a host are one type here, because the choice is made
// for each controller: a controller that is mounted as cgroup v1 is read there,
// every other one in the cgroup2 tree. A host with v1 controllers beside an
// empty cgroup2 tree (hybrid) is therefore no case of its own.
//
// Rules that hold for every figure:
//
//   - A limit is the lowest one from the cgroup up to the root of its hierarchy.
//   - Usage is the cgroup's own, children included. Where the controller is off
//     in the cgroup, or the cgroup is the root of the hierarchy, usage is
//     reported as not owned and stays 0: the files of an ancestor would count
//     the siblings.
//   - What a kernel does not offer is marked as absent. What cannot be read or
//     parsed is an error; no figure is made up.
//   - Whether a file exists is decided at each read, since controllers come and
//     go while a cgroup lives.
//
// Formats: Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/ in the kernel
// tree.
package cgroupview
