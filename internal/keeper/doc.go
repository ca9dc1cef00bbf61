// Package keeper lets the daemon die. The keeper is a small process that starts the
// one that does the work, the worker, starts another one when it has ended or hangs,
// and keeps the worker's descriptors for its successor, as systemd's fd store does.
// It knows nothing of what it keeps but the names, and parses nothing that a
// container can send.
//
// # Messages
//
// Both talk over a socket that keeps the borders of messages, in the format of
// sd_notify(3), with descriptors beside the text. The worker says what it would say
// to systemd: FDSTORE=1 and FDSTOREREMOVE=1 with FDNAME, READY=1, WATCHDOG=1,
// STATUS; CLOISTER_UPGRADE=path to be replaced by another program; and
// CLOISTER_ERROR=text for why it ends. A name is kept once: what is stored under it
// later takes its place. The keeper first sends all that it keeps, with a FDNAME line
// for each descriptor, and then one message with CLOISTER_STORED=count. Later on it
// says CLOISTER_STOP=1 (end and take everything away) or CLOISTER_HANDOVER=1 (end so
// that a successor can go on).
//
// # What can happen
//
//   - The worker dies: another one is started at once; after a delay if it is to
//     blame itself. After some workers in a row that crashed before they were ready,
//     the next one is told not to trust what its predecessors have left behind (Fresh).
//   - The worker hangs: it is killed. What is killed may stay in the kernel until its
//     successor has answered a request, so the keeper waits for it only shortly.
//   - The program is replaced: the worker hands over to one of the new program. When
//     that is ready, the keeper executes the new program in its own place, with the
//     same pid, descriptors and worker. If no worker of it becomes ready, nothing has
//     been executed, and a worker of the program from before goes on.
//   - The keeper dies: under systemd the worker hands over to the next keeper, which
//     gets the descriptors from systemd's store; otherwise the worker, which has them
//     too, becomes the keeper (TakeOver). So it is also if a new program's worker is
//     fine and its keeper is not.
package keeper
