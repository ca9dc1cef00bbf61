// Command probe is what a hostile container runs. It is linked statically and knows the
// container from inside only.
//
//	probe rows             reads rows from its input and says what the kernel answers
//	probe race …           changes arguments while the kernel looks at them
//	probe fuzz …           makes calls with arguments that make no sense
//	probe load …           has many threads in calls until its input ends
//	probe latency …        measures sysinfo(2)
package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// The first thread is the one that /proc/self is about.
func init() { runtime.LockOSThread() }

var commands = map[string]func(args []string) error{
	"rows": rows, "row": row, "race": race, "fuzz": fuzz, "load": load, "latency": latency,
}

func main() {
	command := commands[os.Args[1]]
	if err := command(os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "probe:", err)
		os.Exit(1)
	}
}

// allowed is the answer to a call that succeeded.
const allowed = "ok"

// answer is the name of an error.
func answer(err error) string {
	var errno unix.Errno
	switch {
	case err == nil:
		return allowed
	case errors.As(err, &errno) && unix.ErrnoName(errno) != "":
		return unix.ErrnoName(errno)
	}
	return err.Error()
}
