package fs

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// readCall is a system call that reads files. Its first argument is the descriptor.
type readCall struct {
	kind callKind
	// low and high are the arguments with the halves of the offset. 64-bit tasks have
	// no high one, and read(2) has none: it reads at the file's position.
	low, high int
	// vector calls read to several buffers. Of the others the third argument is the
	// length.
	vector bool
}

// atPosition is preadv2(2)'s offset for the file's position. The other calls refuse it,
// and so never wait for a READ with it.
const atPosition = -1

func (c readCall) offset(args *[6]uint64) int64 {
	switch {
	case c.low == 0:
		return atPosition
	case c.high == 0:
		return int64(args[c.low])
	}
	return int64(args[c.high]<<32 | args[c.low]&0xffffffff)
}

func (c readCall) length(args *[6]uint64) int64 {
	if c.vector {
		return -1
	}
	return int64(args[2])
}

// call returns what is known of the system call. Its number has another meaning in
// 32-bit tasks, whose stacks are below 4 GiB. Those of 64-bit tasks are not, unless
// they take pains.
func (s *callState) call() readCall {
	if s.sp < 1<<32 {
		return readCalls32[runtime.GOARCH][s.number]
	}
	return readCalls64[s.number]
}

var readCalls64 = map[int]readCall{
	unix.SYS_READ:            {kind: callRead},
	unix.SYS_READV:           {kind: callRead, vector: true},
	unix.SYS_PREAD64:         {kind: callRead, low: 3},
	unix.SYS_PREADV:          {kind: callRead, low: 3, vector: true},
	unix.SYS_PREADV2:         {kind: callRead, low: 3, vector: true},
	unix.SYS_SENDFILE:        {kind: callSplice},
	unix.SYS_SPLICE:          {kind: callSplice},
	unix.SYS_COPY_FILE_RANGE: {kind: callSplice},
	unix.SYS_FADVISE64:       {kind: callAhead},
	unix.SYS_READAHEAD:       {kind: callAhead},
}

// readCalls32 are those of the 32-bit tasks that the kernel of an architecture runs:
// arch/x86/entry/syscalls/syscall_32.tbl and arch/arm64/tools/syscall_32.tbl.
var readCalls32 = map[string]map[int]readCall{
	"amd64": {
		3:   {kind: callRead},                                // read
		145: {kind: callRead, vector: true},                  // readv
		180: {kind: callRead, low: 3, high: 4},               // pread64
		333: {kind: callRead, low: 3, high: 4, vector: true}, // preadv
		378: {kind: callRead, low: 3, high: 4, vector: true}, // preadv2
		187: {kind: callSplice},                              // sendfile
		239: {kind: callSplice},                              // sendfile64
		313: {kind: callSplice},                              // splice
		377: {kind: callSplice},                              // copy_file_range
		225: {kind: callAhead},                               // readahead
		250: {kind: callAhead},                               // fadvise64
		272: {kind: callAhead},                               // fadvise64_64
	},
	"arm64": {
		3:   {kind: callRead},                                // read
		145: {kind: callRead, vector: true},                  // readv
		180: {kind: callRead, low: 4, high: 5},               // pread64: register pairs start at an even one
		361: {kind: callRead, low: 3, high: 4, vector: true}, // preadv
		392: {kind: callRead, low: 3, high: 4, vector: true}, // preadv2
		187: {kind: callSplice},                              // sendfile
		239: {kind: callSplice},                              // sendfile64
		340: {kind: callSplice},                              // splice
		391: {kind: callSplice},                              // copy_file_range
		225: {kind: callAhead},                               // readahead
		270: {kind: callAhead},                               // fadvise64_64
	},
}
