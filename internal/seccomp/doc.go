// Package seccomp answers system calls of containers that a seccomp filter has handed
// over (seccomp_unotify(2)): it knows the protocol, the ABIs and the callers' memory,
// and nothing of engines or files.
//
// What it holds to:
//
//   - Everything in a call is the caller's and hostile. Arguments are taken once; memory
//     is copied once, and what was copied decides, as the caller can change it at any
//     time. A thread's number means that thread only while its call is valid, which is
//     asked after everything that was got by the number and before every effect.
//   - The caller can make access to its memory last for ever (userfaultfd(2), FUSE). So
//     a container has at most 8 calls in service, each with a deadline, after which the
//     caller gets EIO while what serves it may be stuck. Others don't notice.
//   - The agent may be killed between any two instructions. The kernel writes each call
//     into a journal that outlives the process, and a successor serves again what has
//     not been answered. A handler says in Request.Note what it is about to do.
//   - A listener is closed when its last user has ended, and never before: the kernel
//     would answer all its calls with ENOSYS.
package seccomp
