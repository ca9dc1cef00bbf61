package fs

import (
	"bytes"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// callKind is what the task that waits for a reply is doing.
type callKind int

const (
	// callUnknown: nothing is known. The task is none of user space (a kernel thread,
	// a worker of io_uring), is gone or hidden, does not wait, or reads at an offset that
	// can't be told.
	callUnknown callKind = iota
	// callRead is a read(2) or one of its kin, whose offset is known.
	callRead
	// callSplice moves pages to a pipe, a socket or a file: sendfile(2) and its kin.
	callSplice
	// callAhead has the kernel read what may be wanted later, and doesn't wait for it.
	callAhead
	// callFault is no system call: the task touched a page of a mapping.
	callFault
	// callOther is any other system call.
	callOther
)

// caller is a call and, of a callRead, at which offset of which inode it reads how much: -1,
// or 0 of the inode, if that is not known.
type caller struct {
	kind           callKind
	offset, length int64
	inode          uint64
}

// touches reports whether the call may have touched a mapping of a file, which it is not
// about.
func (c caller) touches(inode uint64) bool {
	return c.kind == callFault || c.kind == callOther ||
		c.kind == callRead && c.inode != 0 && c.inode != inode
}

// A task that wakes the server may be met before it has gone to sleep itself. The kernel
// tells nobody when it has: that often the next look is at once, and then after pauses,
// each twice as long as the one before.
const (
	runningTries = 8
	runningPause = 50 * time.Microsecond
)

// patience is how many pauses there are.
type patience int

const (
	briefly   patience = 6  // 3 ms together
	patiently patience = 11 // 100 ms, for a busy machine, where a task goes on late
)

// callerAt tells what a task does, of which the file system only sees a READ of whole
// pages, and at which offset a callRead began. The task's system call is where it was
// made until the READ is answered.
//
// The answer is a hint. A container can forge it: with another thread that puts
// another file in the place of the descriptor, or by reading a file into a mapping of
// this one. It is only to be used for what harms no other reader if it is wrong.
//
// It touches none of the task's files, and takes no lock that a request holds which
// its task waits for. A task that doesn't wait for the reply (it read ahead) can hold
// it up: in an execve(2) that closes files which another FUSE server doesn't let go.
// So no other request may depend on the goroutine that calls this.
func callerAt(proc string, tid uint32, p patience) caller {
	dir := proc + "/" + strconv.FormatUint(uint64(tid), 10)
	state, ok := taskState(dir+"/syscall", p)
	if !ok {
		return caller{kind: callUnknown}
	}
	if state.number == noCall {
		return caller{kind: callFault}
	}
	call := state.call()
	if call.kind == callUnknown {
		return caller{kind: callOther}
	}
	if call.kind != callRead {
		return caller{kind: call.kind}
	}
	file := descriptorAt(dir + "/fdinfo/" + strconv.FormatUint(uint64(uint32(state.args[0])), 10))
	offset := call.offset(&state.args)
	if offset == atPosition {
		offset = file.offset
	}
	if offset < 0 {
		return caller{kind: callUnknown}
	}
	return caller{kind: callRead, offset: offset, length: call.length(&state.args), inode: file.inode}
}

// taskState reads a file such as /proc/1/syscall.
func taskState(path string, p patience) (callState, bool) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return callState{}, false
	}
	defer unix.Close(fd)
	var buf [256]byte
	for try := range runningTries + int(p) {
		n, err := unix.Pread(fd, buf[:], 0)
		if err != nil {
			return callState{}, false
		}
		if text := buf[:n]; !bytes.HasPrefix(text, []byte("running")) {
			return parseState(string(text))
		}
		if try < runningTries {
			runtime.Gosched()
		} else {
			time.Sleep(runningPause << (try - runningTries)) // until the task sleeps, at most p times
		}
	}
	return callState{}, false
}

// noCall is the number of no system call.
const noCall = -1

// callState is where a task entered the kernel.
type callState struct {
	number int
	args   [6]uint64 // garbage in those that the call doesn't have
	sp     uint64
}

// parseState reads "number args... sp pc", or "-1 sp pc" outside of a system call. A
// stack pointer of 0 is that of a task without a user space, in whose place nothing or
// something old is shown.
func parseState(text string) (callState, bool) {
	var s callState
	fields := strings.Fields(text)
	if len(fields) != 9 && len(fields) != 3 {
		return s, false
	}
	number, err := strconv.ParseInt(fields[0], 10, 32)
	if err != nil || (number == noCall) != (len(fields) == 3) {
		return s, false
	}
	s.number = int(number)
	values := fields[1:]
	for i := range values {
		hex, _ := strings.CutPrefix(values[i], "0x")
		value, err := strconv.ParseUint(hex, 16, 64)
		if err != nil {
			return s, false
		}
		switch sp := len(values) - 2; {
		case i < sp:
			s.args[i] = value
		case i == sp:
			s.sp = value
		}
	}
	return s, s.sp != 0
}

// descriptor is what is known of one of a task.
type descriptor struct {
	offset int64  // -1 if it is unknown
	inode  uint64 // 0 if it is unknown: kernels before 5.14 don't tell
}

// descriptorAt reads a file such as /proc/1/fdinfo/3.
func descriptorAt(path string) descriptor {
	var buf [256]byte // what it tells of all files comes first
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return parseDescriptor("")
	}
	defer unix.Close(fd)
	n, err := unix.Read(fd, buf[:])
	if err != nil {
		n = 0
	}
	return parseDescriptor(string(buf[:n]))
}

func parseDescriptor(text string) descriptor {
	d := descriptor{offset: -1}
	for line, rest, whole := strings.Cut(text, "\n"); whole; line, rest, whole = strings.Cut(rest, "\n") {
		key, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch key {
		case "pos":
			if offset, err := strconv.ParseInt(value, 10, 64); err == nil && offset >= 0 {
				d.offset = offset
			}
		case "ino":
			if inode, err := strconv.ParseUint(value, 10, 64); err == nil {
				d.inode = inode
			}
		}
	}
	return d
}
