// Package memory holds what a FUSE worker's successor goes on from after a SIGKILL:
// the INIT request, a journal of the requests that are being answered, and an arena of
// open files with their snapshots. It all stands in a memfd that outlives the worker.
//
// It knows how bytes stay whole, and nothing of what they mean: no opcodes, no paths,
// no budgets.
//
// What it holds to:
//
//   - The worker may be killed between any two instructions. What it was about to
//     change is then either changed or not, since each change takes effect with the
//     store of one word: a request's length, a handle's state.
//   - The file holds no free lists, no counters and no locks. Open makes them out of
//     the words above, so none can be left half done.
//   - Open takes any bytes for the file's content. What makes no sense is dropped.
//   - One process uses the file at a time. Who starts a successor waits first until
//     the predecessor is dead with all its threads, as wait(2) does.
//   - There is no allocation, and no system call but for blocks that are given back to
//     the kernel.
//
// A handle is known by a number (FH) that comes again only after 4 billion opens, so
// what is late, such as a RELEASE that is handled twice, hits no other open file.
package memory
