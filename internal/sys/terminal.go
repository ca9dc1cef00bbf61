package sys

import (
	"os"

	"golang.org/x/sys/unix"
)

// IsTerminal reports whether f is a terminal.
func IsTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// Replace makes the descriptor of old lead to the file of replacement, also for a
// program that this process becomes.
func Replace(old, replacement *os.File) error {
	return os.NewSyscallError("dup3", unix.Dup3(int(replacement.Fd()), int(old.Fd()), 0))
}
