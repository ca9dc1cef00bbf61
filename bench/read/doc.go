// Package read measures what reading a file of a container costs: the kernel's own, the
// container's view of it, and optionally that of lxcfs.
//
// Absolute times say little on a machine that does other work. So the three take turns in
// short slices, ratios are taken between slices of the same round, and what is reported is
// the median of the rounds.
//
// All three are read by the same threads, in the container's cgroup (lxcfs shows a reader
// what belongs to its cgroup), through bind mounts at paths of the same length, which are
// in a mount namespace of their own. Nothing is left behind when the process ends, however
// it ends, except that servers whose threads were pinned stay pinned if it is killed.
package read
