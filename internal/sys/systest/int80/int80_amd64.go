// Package int80 lets tests make the system calls of i386 programs.
package int80

// Call makes a system call by int $0x80 and returns what the kernel does. Addresses
// must be below 4 GiB.
func Call(nr, a1, a2, a3, a4, a5 uintptr) (r uintptr)
