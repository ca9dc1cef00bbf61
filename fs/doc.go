// Package fs serves rendered files to containers through FUSE.
//
// The tree has one directory per slot, named "<index>.<generation>", and every
// slot has the same files, but for those of a series: of how many things a slot
// has them, such as CPUs, it asks at each lookup. What a file says is the business
// of Content; this package knows how the bytes reach a reader: the mount, the device
// loop, node ids, open files and their snapshots. It knows no formats, no containers
// and no cgroups.
//
// What it holds to:
//
//   - A reader never sees a torn file. OPEN renders into a snapshot that
//     belongs to the open file, and every read of it is a piece of that
//     snapshot, however small and slow the reader's chunks are.
//   - A kept file descriptor is fresh: a read at offset 0 of an open file that
//     was read before renders anew, as the kernel's own proc files do.
//   - One slow render delays nobody but readers of the same slot.
//   - What one slot's readers can cost is bounded: see slotBudget and
//     slotRenders.
//   - Node ids are computed (nodeid.go). Nothing is kept per inode, so the
//     kernel's FORGET needs no answer and a restart loses no table.
//   - No request is left without a reply, and no lock is held over a render.
//
// The superblock is read-only (MS_RDONLY) unless it has a Writer: the kernel then
// asks for no attributes after each read. Nothing that is written is kept: it sets
// what poll(2) waits for (poll.go). What is shown as the size of a file is in size.go.
package fs
