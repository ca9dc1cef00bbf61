// Package fstest tells whether readers of a file get it whole and fresh.
//
// What the file says is an edition (edition.go): its number is in every line and is the
// time when it was rendered. A reader that finds two numbers, or lines missing, got it
// torn; one that finds a number from before it began to read got it stale.
//
// The readers read as programs do (habits.go): in chunks large and small, with other
// readers in between, on descriptors that they keep, through sendfile(2), mmap(2) and
// io_uring. They run in a process of their own (reader.go), because one that reads what
// it serves itself may wait for itself.
package fstest
