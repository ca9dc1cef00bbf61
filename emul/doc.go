// Package emul renders a container's view of files in /proc and /sys: a sample of
// the host and of the container's cgroup in, bytes out.
//
// A Host is made once per daemon and a Container for each container. The package
// opens nothing but kernel files, to read them and to write triggers of pressure. It
// knows nothing of FUSE, mounts or OCI.
//
// Where to look:
//
//   - Which files there are: the tables in proc.go, pressure.go and sys_*.go, joined in
//     file.go, which also makes views of them. An entry names its renderer.
//   - How a file of /proc is rendered: in a Go file of its name. /sys/devices/system/cpu
//     is in sys_cpu.go, sys_topology.go, sys_cache.go and sys_cpufreq.go,
//     /sys/devices/system/node in sys_node.go, node_meminfo.go and node_vmstat.go;
//     boot_id and product_uuid are in identity.go. text.go and cpulist.go have what
//     they share.
//   - What a file is rendered from: the view in container.go, which is a sample;
//     sample.go takes it, render.go brings both together. Parts of the view are in memory.go, nodes.go,
//     cpus.go, cpuclock.go (time of CPUs), clock.go (time since the start),
//     vmcounters.go (events) and loadavg.go; how memory lies on the nodes is in
//     nodememory.go. What is kept of it over a restart is in state.go.
//   - What is read of the host: for every sample in host.go, for single files, their
//     origins, in origins.go, both by way of hostfile.go. Which CPU or node a number in
//     a path means is in series.go.
//   - How tasks are counted, every 5 s: loadsampler.go, taskcounter.go, taskstatus.go,
//     switchcounter.go.
//   - How changes are noticed while nobody reads: resampler.go, hostcheck.go.
//   - What is no file: sysinfo.go, and the triggers in trigger.go.
//
// Invariants:
//
//   - All files of a container come from one sample, so they agree with one
//     another; pressure alone is the cgroup's own file at each read. A sample is at
//     most one period old, and taken at the first read after that; concurrent readers
//     share it.
//   - Every file of the host is read at most once per period, whatever the
//     number of containers.
//   - No figure of the host takes the place of one of the container. What the
//     kernel does not count per cgroup reads as 0; a line that this package does
//     not know is 0 or left out; what cannot be read is an error. Free and available
//     memory never exceed the host's.
//   - What a container sees of a Stable file changes with the container's CPUs and memory
//     nodes and with the host's, after a call of Changed, and never else. So the current
//     frequency in its cpuinfo is that of when a CPU of the host last came or went.
//   - A container that nobody reads costs nothing but the count of its tasks.
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
