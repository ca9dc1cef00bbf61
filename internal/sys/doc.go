// Package sys is cloister's border with the kernel: every raw system call that
// the standard library does not wrap, and every file descriptor type, is here.
//
// It knows nothing of containers. A function does one system call, or one idiom
// of a few that only make sense together, and returns Go types and wrapped
// errnos. Calls that change the state of one thread (namespaces, credentials,
// working directory) say so and expect the caller to have locked the thread.
package sys
