// Package fs serves rendered files to containers through FUSE.
//
// The tree has one directory per slot, named "<index>.<generation>", and every
// slot has the same files, but for those of a series: of how many things a slot
// has them, such as CPUs, it asks at each lookup. What a file says is the business
// of Content; this package knows how the bytes reach a reader. It knows no formats,
// no containers and no cgroups.
//
// There are three ways, of which a Server has the first two or the last:
//
//	protocol  who                                open, read, close takes
//	lease     who has a file of less than a      OPEN; and READ, GETATTR if it got
//	          page open before all others        shorter, or was open for long
//	direct    all others, members of a series,   OPEN, a READ for each read(2)
//	          and files that have a Writer
//	pushed    files that say the same until      nothing; READ, GETATTR after a
//	          they are Changed, or for MaxStale  change
//
// Each close of the first two has a RELEASE, which nobody waits for. Lease puts the
// content into the page cache together with the reply to the OPEN, and has it dropped
// when a file stays open. What a successor needs to go on where a process was killed is
// in package memory.
//
// Where to look:
//
//	mount, slots, close       server.go, mount.go, stale.go, slots.go
//	the loop on /dev/fuse     device.go, reader.go; what may wait: queue.go; INIT:
//	                          greet.go; the bytes: wire.go
//	lease and direct          exact.go, openfile.go; lease.go, truncation.go, pagecache.go,
//	                          sweep.go
//	who reads, and where      caller.go, readcalls.go
//	pushed                    pushed.go, push.go, expiry.go
//	writes, poll(2)           poll.go
//	names, ids, attributes    tree.go, lookup.go, dir.go, nodeid.go, place.go, attr.go,
//	                          size.go
//	what the kernel is told   notify.go
//	after a death             resume.go; whether there can be a successor: shape.go
//	what is counted           stats.go, histogram.go
//
// What it holds to:
//
//   - A reader never sees a torn file. OPEN renders into a snapshot that belongs to
//     the open file, and every read of it is a piece of that snapshot, however small
//     and slow the reader's chunks are. Two readers have no such snapshot: who reads a
//     pushed file while it changes, and who maps a file that is not leased to them.
//   - A kept file descriptor is fresh: a read at offset 0 of an open file that was read
//     before is of new content, as of the kernel's own proc files. So it is at once if
//     it is direct, and within 100 ms if it is leased, unless it no longer fits into a page.
//   - What needs the page cache gets it from a lease. Who has none is refused
//     sendfile(2) and its kin with EINVAL, and falls back to read(2). Whoever has mapped
//     such a file, or just read ahead, has pages there, which these calls then move as
//     they are.
//   - One slow render delays nobody but readers of the same slot.
//   - What one slot's readers can cost is bounded: see slotBudget, slotRenders and
//     slotWaiting.
//   - Node ids are computed (nodeid.go). Nothing is kept per inode, so the kernel's
//     FORGET needs no answer and a restart loses no table.
//   - No request is left without a reply. Nothing that may wait for a reply to the
//     kernel is done by who gives replies (notify.go), and no lock is held over a
//     render that may wait.
//
// The superblock is read-only (MS_RDONLY) unless it has a Writer: the kernel then
// asks for no attributes after each read. Nothing that is written is kept: it sets
// what poll(2) waits for (poll.go). What is shown as the size of a file is in size.go.
//
// Package fstest tells whether a reader got a file whole and fresh.
package fs
